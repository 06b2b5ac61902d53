"""Programs that keep Docker's credentials, real ones, in front of a daemon that records what it is sent."""

from __future__ import annotations

import base64
import json
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from slipway.docker import connection, registry_credentials
from slipway.docker.daemon import DockerDaemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, RegistryDenied, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from tests.unit.docker.handler import Handler

DENIED = "pull access denied for r.example.com/x, repository does not exist or may require 'docker login'"
KEEPER = """case $1 in list) echo '{"https://r.example.com": "ann"}' ;;
*) cat > /dev/null; echo '{"Username": "ann", "Secret": "s3cret"}' ;; esac"""


class Registry(Handler, BaseHTTPRequestHandler):
    """A daemon whose builds and pulls end as `server.answer` says."""

    def do_GET(self) -> None:
        self._send({"ApiVersion": "1.43", "Id": "sha256:1"})

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = self.headers.get("X-Registry-Config") or self.headers.get("X-Registry-Auth")
        self.server.sent.append(json.loads(base64.urlsafe_b64decode(sent)) if sent else None)  # type: ignore[attr-defined]
        self._send(self.server.answer)  # type: ignore[attr-defined]

    def _send(self, answer: dict[str, Any]) -> None:
        self.send_body(json.dumps(answer).encode())


class Machine:
    """A Docker with a configuration and helpers."""

    def __init__(self, folder: Path, server: Any, closing: ExitStack) -> None:
        self.folder, self.server, self.events = folder, server, list[Event]()
        self.daemon = DockerDaemon(FakeHost("here", Facts("Linux", "x86_64")), closing)

    def configure(self, **config: object) -> None:
        (self.folder / "config.json").write_text(json.dumps(config))

    def helper(self, name: str, script: str) -> None:
        path = self.folder / f"docker-credential-{name}"
        path.write_text(f"#!/bin/sh\necho $1 >> {self.folder}/asked\n{script}\n")
        path.chmod(0o755)

    def pull(self) -> str:
        return self.daemon.transfers.pull("r.example.com/x:1", self.report)

    def build(self) -> str:
        return self.daemon.images.build(b"", "Dockerfile", (), {}, {}, "", self.report).id

    @property
    def report(self) -> Reporter:
        return Reporter("x", self.events.append, Cancel())

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().split()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(connection, "SOCKET", path)
    monkeypatch.setattr(registry_credentials, "TIMEOUT", 1)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with socketserver.ThreadingUnixStreamServer(path, Registry) as server, ExitStack() as closing:
        server.daemon_threads = True
        server.sent, server.answer = [], {"aux": {"ID": "sha256:1"}}  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield Machine(tmp_path, server, closing)
        server.shutdown()


BROKEN = [
    ("desktop.exe", None, "docker-credential-desktop.exe is not on this machine"),
    ("slow", 'echo \'{"Username": "ann", "Secret": "s3cret"}\'; sleep 60', "more than 1 s"),
    ("locked", "echo 'gpg: the key ring is locked' >&2; exit 2", "gpg: the key ring is locked"),
    ("talker", "echo hello", "Expecting value"),
    ("empty", "echo '{}'; [ $1 = list ] && echo x", ""),
    ("script", "exit 0", "Expecting value"),
]


@pytest.mark.parametrize(("name", "script", "words"), BROKEN)
@pytest.mark.parametrize("where", ["credsStore", "credHelpers"])
@pytest.mark.parametrize("what", ["pull", "build"])
def test_a_helper_that_fails_holds_up_nothing_that_is_public_and_is_named_for_what_is_not(
    machine: Machine, name: str, script: str | None, words: str, where: str, what: str
) -> None:
    if script is not None:
        machine.helper(name, script)
    machine.configure(**{where: name if where == "credsStore" else {"r.example.com": name}})
    ask = getattr(machine, what)
    began = time.monotonic()
    assert ask() == "sha256:1"
    assert time.monotonic() - began < 10
    program = f"docker-credential-{name}"
    notes = [event.text for event in machine.events if isinstance(event, Output) and event.stream == "note"]
    assert notes == [f"without the credentials of {program}, which failed"]
    machine.server.answer = {"error": DENIED}
    with pytest.raises(Problem, match=f"{program} failed") as caught:
        ask()
    assert words in caught.value.details
    assert DENIED in caught.value.details
    assert f"{machine.folder}/config.json" in caught.value.hint
    assert "s3cret" not in f"{caught.value}{machine.events}"

    machine.server.answer = {"error": "no space left on device"}
    with pytest.raises(Problem) as caught:
        ask()
    assert program not in str(caught.value)
    if script is not None:
        assert len(machine.asked) == 1, "a helper that failed is not asked again"


@pytest.mark.parametrize("where", ["credsStore", "credHelpers"])
def test_a_helper_that_works_is_asked_and_its_credentials_are_sent(machine: Machine, where: str) -> None:
    machine.helper("keeper", KEEPER)
    machine.configure(**{where: "keeper" if where == "credsStore" else {"r.example.com": "keeper"}})
    machine.pull()
    machine.build()
    pulled, built = machine.server.sent[:2]
    assert (pulled["Username"], pulled["Password"]) == ("ann", "s3cret")
    assert built["r.example.com"]["Password"] == "s3cret"
    assert not machine.events
    machine.server.answer = {"error": DENIED}
    with pytest.raises(RegistryDenied):
        machine.pull()


def test_a_helper_without_these_credentials_has_not_failed(machine: Machine) -> None:
    machine.helper("keychain", "echo 'credentials not found in native keychain'; exit 1")
    machine.configure(credsStore="keychain", auths={"r.example.com": {"auth": base64.b64encode(b"bob:pw").decode()}})
    machine.pull()
    assert machine.server.sent[0]["username"] == "bob"
    assert not machine.events


@pytest.mark.parametrize("auths", [{"r.example.com": "x"}, {"r.example.com": {"auth": "%"}}, ["x"]])
def test_a_configuration_that_docker_cannot_read_is_named(machine: Machine, auths: object) -> None:
    machine.configure(auths=auths)
    with pytest.raises(UsageError, match=r"config.json can't be read"):
        machine.pull()
