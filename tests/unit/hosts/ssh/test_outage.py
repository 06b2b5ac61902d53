"""Connections that break, over an sshd of this process: noticed, bounded in time, and interrupted by Ctrl-C."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from paramiko import Channel, Message
from paramiko.proxy import ProxyCommand

from slipway.config.models import HostEntry
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Cancelled, HostUnreachable, Problem
from slipway.hosts import tunnels
from slipway.hosts.host import Command, Stream
from slipway.hosts.ssh import connection, keepalive, reconnect
from slipway.hosts.ssh import host as ssh_host
from slipway.hosts.ssh.host import SshHost
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import TIGHT, Sshd, at, connect, hosts, lost, nobody, reached, sealed, serving, until


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


@pytest.mark.parametrize("hop", ["gate", "box"])
def test_a_jump_host_or_a_host_that_falls_silent_ends_the_connection(
    home: Path, monkeypatch: pytest.MonkeyPatch, hop: str
) -> None:
    monkeypatch.setattr(keepalive, "INTERVAL", 0.05)
    monkeypatch.setattr(keepalive, "SILENCE_LIMIT", 1.5)
    key = sealed(home / "key")
    servers = {"gate": Sshd(keys=(key,)), "box": Sshd(keys=(key,))}
    with serving(*servers.values()):
        entries = {name: at(server, key=str(home / "key")) for name, server in servers.items()}
        entries["box"] = entries["box"].model_copy(update={"jump": "gate"})
        made = connect(hosts(home, *servers.values(), **entries), nobody)
        server, answered, silence = servers[hop].links[0], list[int](), threading.Event()
        send = server.packetizer.send_message

        def answer(data: Message) -> None:
            answered.append(1)
            if not silence.is_set():
                send(data)

        monkeypatch.setattr(server.packetizer, "send_message", answer)
        until(lambda: len(answered) > 40)  # asked for longer than it may be silent, it answers
        assert made.is_connected
        silence.set()
        until(lambda: not made.is_connected)
        connection.close(made)
        assert not made.gateway.is_connected


def test_ctrl_c_works_while_a_host_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel, server = Cancel(), Sshd()
    with reached(home, server, cancel) as box:
        assert box.run(Command(("echo", "hi")), null_reporter()).text == "hi\n"
        monkeypatch.setattr(
            connection, "connect", lambda *_: (_ for _ in ()).throw(HostUnreachable("box does not answer"))
        )
        server.drop()
        threading.Timer(0.2, cancel.request).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            box.run(Command(("echo", "hi")), null_reporter())
        assert time.monotonic() - began < TIGHT


def test_a_connection_that_breaks_before_a_question_is_said_to_be_made_again(home: Path) -> None:
    events, server = list[Event](), Sshd()
    with reached(home, server, report=Reporter("box", events.append, Cancel())) as box:
        (home / "file").write_text("asked for\n")
        assert box.read_file(str(home / "file"), null_reporter()) == b"asked for\n"
        for ask in (box.probe.facts, lambda: box.open_tcp("127.0.0.1", server.port)):
            server.drop()
            until(lambda: _is_down(box))
            with suppress(Problem):
                ask()
        step = Reporter("box/docker", events.append, Cancel())
        server.drop()
        until(lambda: _is_down(box))
        assert box.read_file(str(home / "file"), step) == b"asked for\n"
    said = "the connection to box was lost; reconnecting"
    assert events == [Output(name, "note", said) for name in ("box", "box", "box/docker")]


def test_ctrl_c_works_while_a_host_is_silent(home: Path) -> None:
    cancel = Cancel()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        entry = HostEntry(address="127.0.0.1", port=mute.getsockname()[1], user="deploy")
        threading.Timer(0.2, cancel.request).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            connect(hosts(home, box=entry), nobody, null_reporter(cancel))
        assert time.monotonic() - began < connection.CONNECT_TIMEOUT / 2


def test_all_who_wait_for_a_host_share_the_time_that_it_may_take(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "RECONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr(reconnect, "RETRY_INTERVAL", 0.1)
    server = Sshd()
    with reached(home, server) as box:
        box.run(Command(("true",)), null_reporter())
        monkeypatch.setattr(
            connection, "connect", lambda *_: (_ for _ in ()).throw(HostUnreachable("box does not answer"))
        )
        server.drop()
        began = time.monotonic()
        threads = [threading.Thread(target=lost, args=(box,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1.0 <= time.monotonic() - began < 3.5  # one after the other it would be 4


def test_more_commands_than_a_connection_allows_end_together_and_it_stays_open(home: Path) -> None:
    server = Sshd()
    with reached(home, server) as box:
        for turn in range(12):
            marks = [home / f"began-{turn}-{number}" for number in range(ssh_host.COMMANDS)]
            _end_together(box, marks)
        assert len(server.links) == 1


@pytest.mark.parametrize("code", [None, 0])
def test_a_connection_that_breaks_is_never_taken_for_the_commands_end(
    home: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    made: Any = Channel
    unlink = made._unlink

    def slow(channel: Channel) -> None:  # a moment passes before the connection says that it has ended
        unlink(channel)
        time.sleep(0.1)

    monkeypatch.setattr(Channel, "_unlink", slow)
    server, mark = Sshd(), home / "began"
    with reached(home, server) as box:
        command = Command(("sh", "-c", f"echo a part; touch {mark}; exec sleep 60"))
        thread = threading.Thread(target=lost, args=(box, command))
        thread.start()
        until(mark.exists)
        if code is not None:  # it has ended, and its output is still on its way
            far, near = _channel(server.links[0]), _channel(reconnect.transport_of(box.connection._connection))
            far.send_exit_status(code)
            until(near.status_event.is_set)
        server.drop()
        thread.join(TIGHT)
        assert not thread.is_alive()


def _is_down(box: SshHost) -> bool:
    found = box.connection._connection
    return found is not None and not found.is_connected


def _channel(link: Any) -> Any:
    (found,) = link._channels.values()
    return found


def test_a_command_that_waits_for_a_free_channel_does_not_start_after_ctrl_c(home: Path) -> None:
    class Asked(Cancel):
        def check(self) -> None:
            super().check()
            asked.set()

    asked = threading.Event()
    with reached(home, Sshd()) as box:
        first, second = Cancel(), Asked()
        marks = [home / f"began-{number}" for number in range(ssh_host.COMMANDS)]
        threads = [_cancelled(box, mark, first) for mark in marks]
        for mark in marks:
            until(mark.exists)
        late = _cancelled(box, home / "late", second)
        assert asked.wait(TIGHT)  # it is about to wait for a place
        second.request()
        first.request()
        for thread in (*threads, late):
            thread.join(TIGHT)
            assert not thread.is_alive()
        assert not (home / "late").exists()


def test_ctrl_c_before_a_command_has_reported_its_process_group_stops_it_too(home: Path) -> None:
    cancel, server = Cancel(), Sshd(rewrite=("exec sh -c", f"touch {home}/there; sleep 0.4; exec sh -c"))
    with reached(home, server) as box:
        thread = _cancelled(box, home / "began", cancel)
        until((home / "there").exists)
        cancel.request()
        thread.join(TIGHT)
        assert not thread.is_alive()
        words = ("pgrep", "-f", f"touch {home}/began")
        until(lambda: not subprocess.run(words, capture_output=True, check=False).stdout)


def _cancelled(box: SshHost, mark: Path, cancel: Cancel) -> threading.Thread:
    def one() -> None:
        with pytest.raises(Cancelled):
            box.run(Command(("sh", "-c", f"touch {mark}; sleep 60; true")), null_reporter(cancel))

    thread = threading.Thread(target=one)
    thread.start()
    return thread


def test_a_stop_of_this_process_is_no_silence_of_the_far_side(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Silent:
        wait = 0.1

        def recv(self, _: int) -> bytes:
            nonlocal now
            now += self.wait
            raise TimeoutError

    monkeypatch.setattr(keepalive, "time", SimpleNamespace(monotonic=lambda: now))
    silent_one = Silent()
    watched = keepalive.MonitoredSocket(silent_one)
    watched.watch()
    for wait in (0.1, keepalive.SILENCE_LIMIT + 1, 0.1):  # as a tenth of a second looks behind Ctrl-Z
        silent_one.wait = wait
        with pytest.raises(TimeoutError):
            watched.recv(1)
    for _ in range(int(keepalive.SILENCE_LIMIT / 0.1)):
        said = b"more"
        with suppress(TimeoutError):
            said = watched.recv(1)
    assert said == b""


def test_a_proxy_command_that_has_ended_ends_the_connection() -> None:
    proxy = ProxyCommand("true")
    proxy.settimeout(0.1)
    proxy.process.wait()
    assert keepalive.MonitoredSocket(proxy).recv(1) == b""


def test_ctrl_c_in_a_tunnel_ends_the_conversation_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def dial() -> Stream:
        raise Cancelled

    with tunnels.unix_socket_tunnel(dial) as forwarded, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIGHT)
        client.connect(forwarded.path)
        assert client.recv(1) == b""
    assert capfd.readouterr().err == ""


def _end_together(box: SshHost, marks: list[Path]) -> None:
    cancel = Cancel()
    ended: list[Path] = []

    def one(mark: Path) -> None:
        command = Command(("sh", "-c", f"touch {mark}; sleep 60"))
        try:
            box.run(command, null_reporter(cancel))
        except Cancelled:
            ended.append(mark)

    threads = [threading.Thread(target=one, args=(mark,)) for mark in marks]
    for thread in threads:
        thread.start()
    for mark in marks:
        until(mark.exists)
    began = time.monotonic()
    cancel.request()
    for thread in threads:
        thread.join(30)
    assert sorted(ended) == marks
    assert time.monotonic() - began < TIGHT


def test_a_socket_that_can_not_be_reached_does_not_occupy_a_stream_for_ever(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reached(home, Sshd()) as box:
        monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
        (home / "docker").write_text("#!/bin/sh\nexec cat\n")
        (home / "docker").chmod(0o755)
        with box.forward_socket("/run/docker.sock") as forwarded:
            for _ in range(ssh_host.STREAMS + 1):
                with socket.socket(socket.AF_UNIX) as client:
                    monkeypatch.setattr(Channel, "exec_command", _dead)
                    client.settimeout(TIGHT)
                    client.connect(forwarded.path)
                    assert client.recv(1) == b""
            monkeypatch.undo()
            monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(TIGHT)
                client.connect(forwarded.path)
                client.sendall(b"ping")
                assert client.recv(4) == b"ping"


def _dead(*_: object) -> None:
    raise EOFError
