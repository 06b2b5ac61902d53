"""Downloads from a real server on loopback: whole, corrupt, cut off in the middle, and away."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Cancelled, Problem, Unreachable
from slipway.hosts import locks
from slipway.installers.download import fetch

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content`; the first `cuts` answers break off after a third of what is asked for."""

    content = CONTENT
    cuts = 0
    ranges: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        rest = self.server.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            self.wfile.write(rest[: len(rest) // 3])
            return
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = Server(("127.0.0.1", 0), Handler)
    made.ranges = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/file"


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(server: Server) -> None:
    assert Path(fetch(url(server), SHA256, null_reporter())).read_bytes() == CONTENT
    fetch(url(server), SHA256, null_reporter())
    assert len(server.ranges) == 1


def test_a_download_that_was_cut_off_continues_where_it_ended(server: Server) -> None:
    server.cuts = 2
    assert Path(fetch(url(server), SHA256, null_reporter())).read_bytes() == CONTENT
    assert server.ranges[0] == ""
    assert all(asked.startswith("bytes=") for asked in server.ranges[1:])


def test_a_corrupt_file_is_refused_with_both_digests_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(Problem) as raised:
        fetch(url(server), SHA256, null_reporter())
    assert SHA256 in raised.value.details
    assert hashlib.sha256(server.content).hexdigest() in raised.value.details
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_a_wait_for_another_download_is_reported_and_ends_with_the_run(server: Server) -> None:
    folder, heard, cancel = user_cache_path("slipway", ensure_exists=True), list[str](), Cancel()

    def hear(event: object) -> None:
        if isinstance(event, Output):
            heard.append(event.text)
            cancel.request()

    with (
        locks.file_lock(folder / f"{SHA256}.lock", "another run (pid 7)", lambda _: None, Cancel()),
        pytest.raises(Cancelled),
    ):
        fetch(url(server), SHA256, Reporter("x", hear, cancel))
    assert heard == [f"waiting for another run (pid 7), which is downloading {url(server)}"]
    assert server.ranges == []


def test_a_server_that_is_away_is_unreachable(server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(Problem) as raised:
        fetch(url(server), SHA256, null_reporter())
    assert isinstance(raised.value, Unreachable)
