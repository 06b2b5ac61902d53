"""When a container is ready, and what is reported of one that never is."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from slipway.config.models import Health, Service
from slipway.deployers.docker import readiness
from slipway.deployers.docker.readiness import wait_until_ready
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeContainerIO, FakeDaemon
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "TIMEOUT", 0.3)


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as made:
        Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


@pytest.fixture
def silent() -> Iterator[str]:
    """A port on which nobody listens, and which nobody else gets."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def wait(
    health: dict[str, Any] | None,
    url: str,
    change: Callable[[FakeDaemon, str], None] | None = None,
    start_within: str | None = None,
) -> None:
    daemon = FakeDaemon()
    daemon.images.import_rootfs(b"root", "web", [])
    container = daemon.containers.create(ContainerSpec("web", "web"))
    daemon.containers.start(container)
    if change:
        change(daemon, container)
    service = Service(
        name="web", port=80, health=Health.model_validate(health) if health else None, start_within=start_within
    )
    wait_until_ready(daemon, container, service, url, null_reporter())


def test_a_port_that_listens_is_ready(server: str) -> None:
    wait(None, server)


def test_a_port_on_which_nobody_listens_is_named(silent: str) -> None:
    with pytest.raises(Problem, match="web: not ready within 0 s: nothing listens on port 80"):
        wait(None, silent)


def test_a_service_that_may_take_longer_is_waited_for_as_long_as_it_says(silent: str) -> None:
    began = time.monotonic()
    with pytest.raises(Problem, match="web: not ready within 1 s: nothing listens on port 80"):
        wait(None, silent, start_within="1s")
    assert time.monotonic() - began > 1


def test_a_port_whose_connections_are_closed_at_once_is_not_ready() -> None:
    with ExitStack() as closing:
        listening = closing.enter_context(socket.create_server(("127.0.0.1", 0)))

        def close_all() -> None:
            while True:
                try:
                    listening.accept()[0].close()
                except OSError:
                    return

        Thread(target=close_all, daemon=True).start()
        with pytest.raises(Problem, match="nothing listens on port 80"):
            wait(None, f"http://127.0.0.1:{listening.getsockname()[1]}")
        listening.shutdown(socket.SHUT_RDWR)


def test_a_path_that_answers_is_ready_and_one_that_does_not_is_named(server: str) -> None:
    wait({"ready": "/ready"}, server)
    with pytest.raises(Problem, match="/other answers 404"):
        wait({"ready": "/other"}, server)


def test_an_exited_container_is_not_waited_for(server: str) -> None:
    def stop(daemon: FakeDaemon, container: str) -> None:
        daemon.containers.stop(container, 1)

    with pytest.raises(Problem, match="web: it exited with code 0"):
        wait(None, server, stop)


def test_a_restarted_container_is_not_waited_for(server: str) -> None:
    def restart(daemon: FakeDaemon, container: str) -> None:
        daemon.store.containers[container] = replace(daemon.store.containers[container], restarts=1)

    with pytest.raises(Problem, match="web: it exited with code 0"):
        wait(None, server, restart)


def test_a_command_that_succeeds_is_ready_and_one_that_fails_is_named_with_its_output(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> tuple[int, str]:
        return 2, "no response\n"

    wait({"exec": ["pg_isready", "-q"]}, silent)
    monkeypatch.setattr(FakeContainerIO, "execute", refuse)
    with pytest.raises(Problem, match="`pg_isready -q` failed: no response"):
        wait({"exec": ["pg_isready", "-q"]}, silent)


@pytest.mark.parametrize(
    ("health", "words"),
    [
        ({"ready": "/ready"}, ""),
        ({"ready": "/other"}, "/other answers 404"),
        ({"exec": ["pg_isready", "-q"]}, "`pg_isready -q` failed: no response"),
    ],
)
def test_why_it_is_not_ready_now_is_said_in_words(
    server: str, monkeypatch: pytest.MonkeyPatch, health: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(FakeContainerIO, "execute", lambda *_: (2, "no response\n"))
    service = Service(name="web", port=80, health=Health.model_validate(health))
    assert readiness.unready(FakeDaemon(), "web", service, server, null_reporter()) == words


def test_a_path_that_nobody_answers_is_not_ready(silent: str) -> None:
    service = Service(name="web", port=80, health=Health(ready="/ready"))
    why = readiness.unready(FakeDaemon(), "web", service, silent, null_reporter())
    assert why == "nothing listens on port 80, which the readiness check uses"


def test_a_path_that_is_silent_is_not_called_a_port_on_which_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ANSWERS_WITHIN", 0.1)
    service = Service(name="web", port=80, health=Health(ready="/ready"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        why = readiness.unready(FakeDaemon(), "web", service, url, null_reporter())
    assert why == "/ready takes more than 0.1 s to answer"
