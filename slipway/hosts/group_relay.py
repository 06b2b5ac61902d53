"""A relay to a Unix socket whose group this login session does not have yet: the same run goes on without log-out."""

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

START = 10.0  # seconds for the relay to listen


@contextmanager
def relay(target: str) -> Iterator[str]:
    """A socket of this user's own, behind which a process in group `docker` answers with what `target` says."""
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        path = str(Path(folder) / "docker.sock")
        inner = shlex.join([sys.executable, "-I", __file__, target, path])
        process = subprocess.Popen(
            ["sg", "docker", "-c", f"exec {inner}"], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            _listening(path, process)
            yield path
        finally:
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()


def _listening(path: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START
    while not Path(path).exists():
        if process.poll() is not None or time.monotonic() > deadline:
            from slipway.errors import Problem

            raise Problem(
                "Docker's socket is not open to this login session, and no relay could be started",
                hint="log out and in again, then run the same command",
            )
        time.sleep(0.02)


class _Relay(socketserver.BaseRequestHandler):
    target = ""

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as far:  # whoever came sees it end
            far.connect(self.target)
            back = threading.Thread(target=pump, args=(far, self.request), daemon=True)
            back.start()
            pump(self.request, far)
            back.join()


def pump(source: Any, sink: Any) -> None:
    """Pass bytes on until the source ends, then say so to the sink."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except (OSError, EOFError):
        pass  # either side is gone: so is this conversation


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main(target: str, path: str) -> None:
    """Serve until standard input ends, which it does when the parent is gone however it went."""
    _Relay.target = target
    with _Server(path, _Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
