"""Listeners of this machine (a loopback port, or a Unix socket) that forward what connects to them."""

from __future__ import annotations

import contextlib
import errno
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.errors import Cancelled, Problem, UsageError
from slipway.hosts.group_relay import copy_stream
from slipway.hosts.host import Stream

Connect = Callable[[], Stream]


@contextmanager
def tunnel(port: int, connect: Connect) -> Iterator[int]:
    """Forward connections to loopback `port` (0: a free one) to what `connect` opens; yields the port.

    Raises UsageError if the port is taken, or may not be listened on.
    """

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    try:
        server = Server(("127.0.0.1", port), _handler(connect))
    except OSError as error:
        hint = "choose another port"
        taken = error.errno == errno.EADDRINUSE
        summary = f"port {port} is taken" if taken else f"can't listen on port {port}"
        raise UsageError(summary, details=str(error), hint=hint) from error
    with _serving(server):
        yield int(server.server_address[1])


@contextmanager
def unix_socket_tunnel(connect: Connect) -> Iterator[str]:
    """The same behind a Unix socket that only this user can connect to; yields its path."""

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:  # made with mode 0700
        path = str(Path(folder) / "socket")
        with _serving(Server(path, _handler(connect))):
            yield path


def _handler(connect: Connect) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(Problem, Cancelled, OSError, EOFError):  # the client sees the connection end
                remote = connect()
                with contextlib.closing(remote):
                    back = threading.Thread(target=copy_stream, args=(remote, self.request), daemon=True)
                    back.start()
                    copy_stream(self.request, remote)
                    back.join()

    return Handler


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
