"""A listener of this machine's own (a loopback port, or a Unix socket) that passes on what comes to it."""

from __future__ import annotations

import contextlib
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.errors import Cancelled, Problem, UsageError
from slipway.hosts.group_relay import pump
from slipway.hosts.host import Stream

Dial = Callable[[], Stream]


@contextmanager
def tunnel(port: int, dial: Dial) -> Iterator[int]:
    """Pass what comes to loopback `port` (0: a free one) on to what `dial` opens; yields the port.

    Raises Problem if the port is taken.
    """

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    try:
        server = Server(("127.0.0.1", port), _handler(dial))
    except OSError as error:
        hint = "name another with --port"
        raise UsageError(f"port {port} is taken", details=str(error), hint=hint) from error
    with _serving(server):
        yield int(server.server_address[1])


@contextmanager
def unix(dial: Dial) -> Iterator[str]:
    """The same behind a Unix socket that only this user can reach; yields its path."""

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:  # made with mode 0700
        path = str(Path(folder) / "socket")
        with _serving(Server(path, _handler(dial))):
            yield path


def _handler(dial: Dial) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(Problem, Cancelled, OSError, EOFError):  # whoever came sees the conversation end
                far = dial()
                with contextlib.closing(far):
                    back = threading.Thread(target=pump, args=(far, self.request), daemon=True)
                    back.start()
                    pump(self.request, far)
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
