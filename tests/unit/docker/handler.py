"""A daemon of this process behind a Unix socket, as far as all tests need the same."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    """Answers one connection, whose other end has no address, and logs nothing."""

    protocol_version = "HTTP/1.1"

    def send_body(self, body: bytes, status: int = 200) -> None:
        """Answer with a body."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "whoever"

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
