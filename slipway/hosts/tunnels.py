"""Listeners of this machine (a loopback port, or a Unix socket) that forward what connects to them."""

from __future__ import annotations

import contextlib
import errno
import socket
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.errors import Cancelled, Problem, UsageError
from slipway.hosts.group_relay import copy_stream
from slipway.hosts.host import ForwardedSocket, Stream

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
    with serving(server):
        yield int(server.server_address[1])


@contextmanager
def unix_socket_tunnel(connect: Connect) -> Iterator[ForwardedSocket]:
    """The same behind a Unix socket that only this user can connect to."""

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:  # made with mode 0700
        forwarded = ForwardedSocket(str(Path(folder) / "socket"))
        with serving(Server(forwarded.path, _handler(connect, forwarded))):
            yield forwarded


def _handler(connect: Connect, forwarded: ForwardedSocket | None = None) -> type[socketserver.BaseRequestHandler]:
    """What copies a connection in both directions. Its client sees it end; `forwarded` is told why."""
    told = forwarded or ForwardedSocket("")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(Cancelled, OSError, EOFError), self._told():
                remote = connect()
                told.problem = None
                with contextlib.closing(remote):
                    back = threading.Thread(target=self._copy_back, args=(remote,), daemon=True)
                    back.start()
                    copy_stream(self.request, remote)
                    back.join()

        def _copy_back(self, remote: Stream) -> None:
            with self._told():
                copy_stream(remote, self.request)

        @contextmanager
        def _told(self) -> Iterator[None]:
            try:
                yield
            except Problem as problem:
                told.problem = problem
                with contextlib.suppress(OSError):
                    self.request.shutdown(socket.SHUT_RDWR)

    return Handler


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Have a server answer in a thread of its own, until the context is left."""
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
