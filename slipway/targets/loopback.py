"""A tunnel between two loopback ports of this machine, for as long as its context lasts."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.errors import ExitCode, Problem
from slipway.hosts.relay import pump


@contextmanager
def tunnel(port: int, there: tuple[str, int]) -> Iterator[None]:
    """Pass what comes to loopback `port` on to `there`. Raises Problem if the port is taken."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(there, timeout=10) as far:
                far.settimeout(None)
                back = threading.Thread(target=pump, args=(far, self.request), daemon=True)
                back.start()
                pump(self.request, far)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    try:
        server = Server(("127.0.0.1", port), Handler)
    except OSError as error:
        fix = "name another with --port"
        raise Problem(f"port {port} is taken", why=str(error), fix=fix, code=ExitCode.USAGE) from error
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
