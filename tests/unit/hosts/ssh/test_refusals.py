"""What keeps a host from being used, told apart: no SSH there, a busy sshd, a login shell that runs no commands."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from slipway.config.models import HostEntry
from slipway.engine.reporter import null_reporter
from slipway.errors import ConnectionThrottled, HostUnreachable, Problem, Unreachable
from slipway.hosts.host import Command
from slipway.hosts.ssh import connection, reconnect
from slipway.hosts.ssh.host import SshHost
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import TIGHT, Sshd, connect, hosts, nobody, reached, serving


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


@contextmanager
def answering(text: bytes | None) -> Iterator[int]:
    """A port where every connection is answered and closed; None: kept open, without a word."""
    kept = list[socket.socket]()

    def serve() -> None:
        with suppress(OSError):
            while True:
                one = listener.accept()[0]
                kept.append(one)
                if text is not None:
                    one.settimeout(TIGHT)
                    one.recv(100)  # the client's banner
                    one.sendall(text)
                    one.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for one in kept:
        one.close()


@pytest.mark.parametrize(
    ("text", "words", "details", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n", "is not an SSH server", "HTTP/1.1 400 Bad Request", Unreachable),
        (b"220 mail.example ESMTP\r\n", "is not an SSH server", "220 mail.example ESMTP", Unreachable),
        (b"Exceeded MaxStartups\r\n", "closed the connection before its SSH banner", "Exceeded MaxStartups", ConnectionThrottled),
        (b"", "closed the connection before its SSH banner", "", ConnectionThrottled),
        (None, "accepts connections, but sends no SSH banner within 1 s", "", HostUnreachable),
    ],
)  # fmt: skip
def test_what_answers_without_a_banner_is_told_apart(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None, words: str, details: str, kind: type[Problem]
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 1)
    with answering(text) as port:
        named = hosts(home, box=HostEntry(address="127.0.0.1", port=port, user="deploy"))
        with pytest.raises(Problem, match=words) as failed:
            connect(named, nobody)
    assert type(failed.value) is kind
    assert details in failed.value.details


def test_a_host_that_drops_connections_at_random_is_tried_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "RETRY_INTERVAL", 0.05)
    connect, dropped = connection.connect, list[int]()

    def throttled(*arguments: object) -> object:
        if len(dropped) < 2:
            dropped.append(1)
            raise ConnectionThrottled("Exceeded MaxStartups")
        return connect(*arguments)  # type: ignore[arg-type]

    with reached(home, Sshd()) as box:
        monkeypatch.setattr(connection, "connect", throttled)
        assert box.run(Command(("echo", "hi")), null_reporter()).text == "hi\n"
    assert len(dropped) == 2


NOLOGIN = "echo 'This account is currently not available.'; exit 1 #"


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        (("sh", "-c", NOLOGIN), "This account is currently not available."),
        (("sh", "-c", "echo backup done #"), "backup done"),  # a forced command
        (("sh", "-c", "exit 0 #"), "it printed nothing"),
    ],
)
def test_a_login_that_runs_no_command_is_told_with_its_own_words(home: Path, shell: tuple[str, ...], said: str) -> None:
    with reached(home, Sshd(login_shell=shell)) as box:
        for ask in (box.probe.facts, lambda: box.run(Command(("true",)), null_reporter()), lambda: dial(box)):
            with pytest.raises(Problem, match="box accepts the login, but does not run commands") as failed:
                ask()
            assert (type(failed.value), failed.value.details) == (Unreachable, said)


def dial(box: SshHost) -> None:
    """Connect to a socket of the host, and raise what the tunnel was told."""
    with box.forward_socket("/var/run/docker.sock") as forwarded, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(TIGHT)
        client.connect(forwarded.path)
        assert client.recv(1) == b""
        assert forwarded.problem
        raise forwarded.problem


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "fish"])
def test_any_login_shell_runs_a_command_as_it_is(home: Path, shell: str) -> None:
    argv = ("printf", "%s|", "it's", '"$HOME"', "a\\b\\\\", "new\nline", "!!", "%s ^ ~ {a,b} *", "é", "", "`id`", "\\'")
    with reached(home, Sshd(login_shell=(shell, "-c"), before=b"Welcome!\n")) as box:
        result = box.run(Command(argv, env={"A": "b c"}), null_reporter())
        assert result.text == "".join(f"{word}|" for word in argv[2:])
        assert box.probe.facts().kernel == "Linux"
        assert box.run(Command(("sh", "-c", "echo $A >&2; exit 3"), env={"A": "é '\""}), null_reporter()).exit_code == 3


def test_a_host_that_opens_no_more_sessions_is_told_the_line_of_sshd_config(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconnect.time, "sleep", lambda _: None)
    with serving(), reached(home, Sshd(max_sessions=0)) as box:
        with pytest.raises(Problem, match="box opens no more sessions on one connection") as failed:
            box.run(Command(("true",)), null_reporter())
        assert "MaxSessions" in failed.value.hint
        assert type(failed.value) is Unreachable
