"""A forward proxy for HTTP and, by CONNECT, for anything: what hosts without a way of their own go through."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy(ThreadingHTTPServer):
    """`asked` are the URLs, and the host:port of CONNECT, that came so far."""

    daemon_threads = True
    asked: list[str]

    @property
    def url(self) -> str:
        """What a client is given."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        """Pass a request on, and its answer back, until either side has ended."""
        target = urlsplit(self.path)
        self.server.asked.append(self.path)
        with socket.create_connection((target.hostname or "", target.port or 80), timeout=60) as there:
            path = f"{target.path or '/'}{f'?{target.query}' if target.query else ''}"
            lines = [
                f"{self.command} {path} HTTP/1.1",
                *(f"{k}: {v}" for k, v in self.headers.items() if k != "Connection"),
            ]
            there.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            while chunk := there.recv(65536):
                self.wfile.write(chunk)
        self.close_connection = True

    def do_CONNECT(self) -> None:
        """A tunnel."""
        name, _, port = self.path.rpartition(":")
        self.server.asked.append(self.path)
        with socket.create_connection((name, int(port)), timeout=60) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=copied, args=(there, self.connection), daemon=True)
            back.start()
            copied(self.connection, there)
            back.join(60)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def copied(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until the source ends."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxy(address: str) -> Iterator[Proxy]:
    """A proxy on an address of this machine, for as long as the context lasts."""
    server = Proxy((address, 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
