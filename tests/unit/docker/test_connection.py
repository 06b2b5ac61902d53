"""Docker of a host over SSH, whose first question is one for its daemon: what fails on the way is told as itself."""

from __future__ import annotations

import contextlib
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from docker import APIClient
from paramiko import RSAKey

from slipway.config.models import Hosts
from slipway.docker import connection
from slipway.docker.client import client
from slipway.docker.connection import Connection
from slipway.engine.threads import Threads
from slipway.errors import ConnectionLost, NextCommand, Problem, Unreachable
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.hosts.host import ForwardedSocket
from slipway.hosts.ssh.host import SshHost
from tests.unit.hosts.ssh import sshd
from tests.unit.hosts.ssh.sshd import Sshd, at, nobody, reached, serving


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return sshd.home(tmp_path, monkeypatch)


@pytest.mark.parametrize("words", ["HAS CHANGED", "not known here"])
def test_a_host_key_that_is_not_accepted_is_told_as_such(home: Path, words: str) -> None:
    server, known = Sshd(), home / "known_hosts"
    with serving(server), ExitStack() as closing:
        known.write_text(server.known(RSAKey.generate(1024)) if words == "HAS CHANGED" else "")
        box = SshHost("box", Hosts(known_hosts=str(known), hosts={"box": at(server)}), nobody)
        for _ in range(2):
            with pytest.raises(Problem, match=words) as refused:
                Connection(box, closing).api.version()
            assert (type(refused.value), refused.value.commands) == (
                Unreachable,
                (NextCommand("host.trust", {"host": "box"}),),
            )


def test_a_host_key_that_changes_while_a_command_runs_is_told_as_such(home: Path) -> None:
    with reached(home, server := Sshd()) as box, ExitStack() as closing:
        box.probe.facts()
        (home / "known_hosts").write_text(server.known(RSAKey.generate(1024)))
        socket = closing.enter_context(box.forward_socket("/var/run/docker.sock"))
        server.drop()
        with pytest.raises(Problem, match="HAS CHANGED"):
            client(socket, "1.43").version()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("sh: 1: exec: docker: not found", Unreachable),
        ("permission denied while trying to connect to the Docker daemon socket", Unreachable),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock", ConnectionLost),
    ],
)
def test_what_dockers_client_on_the_host_says_is_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch, said: str, kind: type[Problem]
) -> None:
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    (home / "docker").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    (home / "docker").chmod(0o755)
    with reached(home, Sshd()) as box, ExitStack() as closing:
        with pytest.raises(Problem, match="Docker does not answer on box") as failed:
            Connection(box, closing).api.version()
        assert (type(failed.value), failed.value.details) == (kind, said)
        assert failed.value.commands == (NextCommand("setup", {"host": "box"}),)


def test_two_that_ask_first_at_once_share_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    both, made = threading.Barrier(2), list[APIClient]()

    def slow(socket: ForwardedSocket) -> APIClient:
        made.append(APIClient(f"unix://{socket.path}", version="1.43"))
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return made[-1]

    monkeypatch.setattr(connection, "client", slow)
    with ExitStack() as closing:
        shared = Connection(FakeHost("here", Facts("Linux", "x86_64")), closing)
        threads = Threads(2)
        asked = [threads.submit(lambda: shared.api) for _ in range(2)]
        assert [one.result() for one in asked] == [made[0], made[0]]
    assert len(made) == 1
