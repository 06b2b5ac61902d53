"""A loopback tunnel by kubectl, opened again when its pod is gone, and ended with its context."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from slipway.errors import ExitCode, Problem

START = 15.0  # seconds for the tunnel to answer


@contextmanager
def tunnel(words: Callable[[int], Sequence[str]], port: int | None) -> Iterator[int]:
    """Keep `words(port)` running. Yields the loopback port. Raises Problem when it is taken or nothing answers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port or 0))
        except OSError as error:
            fix = "name another with --port"
            raise Problem(f"port {port} is taken", why=str(error), fix=fix, code=ExitCode.USAGE) from error
        here = int(probe.getsockname()[1])
    ended = threading.Event()
    running: list[subprocess.Popen[str]] = []
    said: list[str] = []

    def run() -> None:
        while not ended.is_set():
            process = subprocess.Popen(
                words(here), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
            )
            running[:] = [process]
            said[:] = [process.communicate()[1]]
            ended.wait(0.5)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START
        while not _answers(here):
            if time.monotonic() > deadline:
                raise Problem("the tunnel did not open", why="\n".join(said), fix="./invoke status")
            time.sleep(0.1)
        yield here
    finally:
        ended.set()
        for process in running:
            process.terminate()
        thread.join(3)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
