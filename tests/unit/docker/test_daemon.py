"""What the daemon does with the messages of a build, with removals that race, and with a daemon that stays silent."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from docker.auth import AuthConfig
from docker.errors import APIError, NotFound
from requests import Response

from slipway.docker import connection
from slipway.docker.build_errors import BuildSource
from slipway.docker.daemon import DockerDaemon
from slipway.docker.streams import built_image
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Cancelled, Problem, RegistryDenied, RegistryFault, TagVanished
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost

NOTHING = BuildSource(b"", "Dockerfile")
HERE = FakeHost("here", Facts("Linux", "x86_64"))
ID = "a" * 64
GONE = (
    f"failed to get digest sha256:{ID}: open /var/lib/docker/image/{ID}: no such file or directory",
    f"No such image: sha256:{ID}",
    f"unknown parent image ID sha256:{ID}",
    f'unable to find image "sha256:{ID}"',
)


class Builder:
    """An API whose builds answer one after the other."""

    api_version, _auth_configs = "1.43", AuthConfig({})

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.cached: list[bool] = []

    def build(self, *, nocache: bool, **_: object) -> Any:
        self.cached.append(not nocache)
        return iter([self.answers.pop(0)])

    def close(self) -> None:
        """Nothing is open."""


class Pusher:
    """An API whose pushes fail with these words."""

    api_version, _auth_configs = "1.43", AuthConfig({})

    def __init__(self, words: str) -> None:
        self.words = words

    def push(self, *_: object, **__: object) -> Any:
        return iter([{"error": self.words}])

    def close(self) -> None:
        """Nothing is open."""


class Remover:
    """An API whose removals end one after the other, well (None) or not."""

    api_version, _auth_configs = "1.43", AuthConfig({})

    def __init__(self, *answers: Exception | None) -> None:
        self.answers, self.asked = list(answers), 0

    def remove_image(self, _: str) -> None:
        self.asked += 1
        if error := self.answers.pop(0):
            raise error

    def close(self) -> None:
        """Nothing is open."""


def built(builder: Builder) -> str:
    with ExitStack() as closing, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "client", lambda *_: builder)
        return build(DockerDaemon(HERE, closing), null_reporter())


def untagged(remover: Remover) -> None:
    with ExitStack() as closing, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "client", lambda *_: remover)
        DockerDaemon(HERE, closing).images.untag("auth:1")


def build(daemon: DockerDaemon, report: Reporter) -> str:
    return daemon.images.build(b"", "Dockerfile", (), {}, {}, "", report).id


@pytest.mark.parametrize("words", GONE)
def test_a_build_whose_cache_was_removed_meanwhile_begins_again_without_it(words: str) -> None:
    builder = Builder({"error": words}, {"aux": {"ID": "sha256:1"}})
    assert built(builder) == "sha256:1"
    assert builder.cached == [True, False]


def step(text: str, result: str, stage: str = "") -> list[dict[str, Any]]:
    """What Docker streams of a step, and where it ends a stage."""
    ends = [{"aux": {"ID": f"sha256:{stage * 64}"}}] if stage else []
    return [{"stream": text}, {"stream": "\n"}, {"stream": f" ---> {result}\n"}, *ends]


@pytest.mark.parametrize(
    ("steps", "base"),
    [
        ([step("Step 1/2 : ARG V=1", "")[:2], step("Step 2/2 : from --platform=linux/amd64  debian:$V As one", "d" * 12, "d")], "d" * 12),
        ([step("Step 1/2 : FROM scratch", ""), step("Step 2/2 : COPY a b", "b" * 12, "b")], ""),
        ([step("Step 1/3 : FROM debian AS one", "d" * 12), step("Step 2/3 : COPY a b", "b" * 12, "b"), step("Step 3/3 : FROM one", "b" * 12, "b")], "d" * 12),
        ([step("Step 1/4 : FROM golang", "a" * 12), step("Step 2/4 : RUN x", "Using cache"), [{"stream": f" ---> {'c' * 12}\n"}, {"aux": {"ID": "sha256:" + "c" * 64}}], step("Step 3/4 : FROM debian", "d" * 12), step("Step 4/4 : COPY --from=0 a b", "e" * 12, "e")], "d" * 12),
        ([[{"stream": "Step 1/2 : FROM parent"}, {"stream": "# Executing 1 build trigger"}, {"stream": " ---> Running in 0123456789ab"}], [{"stream": f" ---> {'d' * 12}\n"}], step("Step 2/2 : COPY a b", "e" * 12, "e")], "d1"),
    ],
    ids=["arguments", "scratch", "a stage", "two images", "triggers"],
)  # fmt: skip
def test_the_base_of_an_image_is_what_docker_says_it_is(steps: list[list[dict[str, Any]]], base: str) -> None:
    stream = (message for messages in steps for message in messages)
    found = built_image(stream, NOTHING, null_reporter(), lambda image, steps: f"{image[0]}{steps}")
    assert found.base == base


def test_a_build_that_fails_of_itself_fails_at_once() -> None:
    builder = Builder({"error": "The command '/bin/sh -c false' returned a non-zero code: 1"})
    with pytest.raises(Problem) as raised:
        built(builder)
    assert "non-zero code" in raised.value.details
    assert builder.cached == [True]


@pytest.mark.parametrize(
    ("answer", "asked"),
    [(APIError(f"unrecognized image ID sha256:{ID}"), 2), (NotFound(f"No such image: sha256:{ID}"), 1)],
)
def test_an_image_whose_steps_another_removal_took_is_removed_all_the_same(answer: Exception, asked: int) -> None:
    remover = Remover(answer, None)
    untagged(remover)
    assert remover.asked == asked


def test_an_image_that_is_in_use_is_not_asked_for_twice() -> None:
    remover = Remover(APIError("conflict: unable to delete auth:1 (must be forced) - container 1 is using it"), None)
    with pytest.raises(Problem, match="auth:1 could not be removed"):
        untagged(remover)
    assert remover.asked == 1


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("tag does not exist: r/hh/web:1", TagVanished),
        ("An image does not exist locally with the tag: r/hh/web", TagVanished),
        ("denied: requested access to the resource is denied", RegistryDenied),
        ("unauthorized: authentication required", RegistryDenied),
        ("no basic auth credentials", RegistryDenied),
        ("received unexpected HTTP status: 500 Internal Server Error", RegistryFault),
        ("unexpected status from PUT request to http://r/v2/hh/web: 503 Service Unavailable", RegistryFault),
        ("received unexpected HTTP status: 404 Not Found", Problem),
        ("open /var/lib/docker/tmp: permission denied", Problem),
        ("connection refused", Problem),
    ],
)
def test_why_a_push_failed_is_told_apart(words: str, kind: type[Problem]) -> None:
    with ExitStack() as closing, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "client", lambda *_: Pusher(words))
        with pytest.raises(Problem, match="r/hh/web:1 could not be pushed") as raised:
            DockerDaemon(HERE, closing).transfers.push("r/hh/web:1", null_reporter())
    assert (type(raised.value), raised.value.details) == (kind, words)


def test_an_archive_without_an_image_is_told_by_the_words_of_docker(tmp_path: Path) -> None:
    archive, host = tmp_path / "saved.tar", FakeHost("here", Facts("Linux", "x86_64"))
    archive.write_bytes(b"")
    host.programs["docker"] = lambda _: (0, b"nothing to load", b"")
    with ExitStack() as closing, pytest.raises(Problem, match="contains no image") as raised:
        DockerDaemon(host, closing).transfers.load(str(archive), null_reporter())
    assert (raised.value.details, raised.value.commands) == ("nothing to load", ())


class Shared:
    """An API beside whose every request another process makes and removes the same network."""

    api_version, _auth_configs = "1.43", AuthConfig({})

    def __init__(self, *found: str) -> None:
        self.found = list(found)  # one answer for each look

    def networks(self, **_: object) -> list[dict[str, str]]:
        name = self.found.pop(0)
        return [{"Id": name, "Created": "2026"}] if name else []

    def create_network(self, *_: object, **__: object) -> dict[str, str]:
        raise conflict()

    def remove_network(self, _: str) -> None:
        raise NotFound("network shop not found")

    def close(self) -> None:
        """Nothing is open."""


def conflict() -> APIError:
    response = Response()
    response.status_code = HTTPStatus.CONFLICT
    return APIError("network with name shop already exists", response=response)


def test_a_network_that_another_process_makes_or_removes_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Shared("", "1", "1", "", "")
    monkeypatch.setattr(connection, "client", lambda *_: shared)
    with ExitStack() as closing:
        networks = DockerDaemon(HERE, closing).networks
        networks.create("shop", {})
        networks.remove("shop")
        with pytest.raises(Problem, match="network shop could not be created"):
            networks.create("shop", {})


class Silent(socketserver.ThreadingUnixStreamServer):
    """A daemon that begins every long answer and then says nothing more, until whoever asked hangs up."""

    daemon_threads = True

    def __init__(self, path: str, answers: bool) -> None:
        self.answers, self.asked, self.hung_up = answers, threading.Event(), threading.Event()
        super().__init__(path, Quiet)


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Silent

    def do_GET(self) -> None:
        if self.path.endswith("/version"):
            body = b'{"ApiVersion": "1.43"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if self.server.answers:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            part = b'{"stream": "Step 1/2 : RUN sleep 300"}'
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.server.asked.set()
        while self.connection.recv(65536):
            pass
        self.server.hung_up.set()

    def do_POST(self) -> None:
        self.do_GET()

    def address_string(self) -> str:
        return "whoever"

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(params=[True, False], ids=["answers", "never-answers"])
def quiet(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(connection, "SOCKET", path)
    with Silent(path, request.param) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    "ask",
    [
        lambda daemon, _, report: build(daemon, report),
        lambda daemon, _, report: daemon.transfers.pull(f"postgres@sha256:{ID}", report),
        lambda daemon, _, report: daemon.transfers.push("127.0.0.1:5000/auth:1", report),
        lambda daemon, folder, report: daemon.transfers.save("auth:1", str(folder / "image.tar"), report),
    ],
    ids=["build", "pull", "push", "save"],
)
def test_cancelling_hangs_up_on_a_silent_daemon_and_stops_what_else_is_to_end(
    ask: Callable[[DockerDaemon, Path, Reporter], object], quiet: Silent, tmp_path: Path
) -> None:
    cancel, later = Cancel(), threading.Event()

    def interrupt() -> None:
        quiet.asked.wait(10)
        cancel.on_request(later.set)
        cancel.request()

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    with ExitStack() as closing, pytest.raises(Cancelled):
        ask(DockerDaemon(HERE, closing), tmp_path, Reporter("x", lambda _: None, cancel))
    assert time.monotonic() - began < 10
    assert quiet.hung_up.wait(10)
    assert later.wait(10)
