"""A service for the tests of deployers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slipway.config.models import Service
from tests.contracts.deployer import CHECK


@pytest.fixture
def service() -> Iterator[Service]:
    """A service whose port listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Service(name="web", port=80, publish=listening.getsockname()[1], checks=(CHECK,))


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name there
        pass


@pytest.fixture(scope="module")
def answering() -> Iterator[str]:
    """The URL of what answers every request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
