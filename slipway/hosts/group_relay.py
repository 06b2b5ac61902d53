"""A relay to a Unix socket of a group that this login session is not in yet: nobody must log out and in again."""

from __future__ import annotations

import contextlib
import shlex
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_TIMEOUT = 10.0  # seconds for the relay to listen


@contextmanager
def relay(target: str) -> Iterator[str]:
    """A socket of this user's own, behind which a process in group `docker` relays to the socket `target`."""
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        path = str(Path(folder) / "docker.sock")
        inner = shlex.join([sys.executable, "-I", __file__, target, path])
        process = subprocess.Popen(
            ["sg", "docker", "-c", f"exec {inner}"], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            _wait_until_listening(path, process)
            yield path
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_listening(path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not Path(path).exists():
        if process.poll() is not None or time.monotonic() > deadline:
            from slipway.errors import Problem

            raise Problem(
                "this login session can't access Docker's socket, and no relay to it could be started",
                hint="log out and in again, then run the same command",
            )
        time.sleep(0.02)


class _Relay(socketserver.BaseRequestHandler):
    target = ""

    def handle(self) -> None:
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX) as remote,
        ):  # the client sees it end
            remote.connect(self.target)
            back = threading.Thread(target=copy_stream, args=(remote, self.request), daemon=True)
            back.start()
            copy_stream(self.request, remote)
            back.join()


def copy_stream(source: Any, sink: Any) -> None:
    """Copy bytes from one socket to another until the first ends, then shut down the second for writing."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except (OSError, EOFError):
        pass  # either side has closed the connection


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main(target: str, path: str) -> None:
    """Serve until standard input ends, which happens whenever the parent is gone, even if it was killed."""
    _Relay.target = target
    with _Server(path, _Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
