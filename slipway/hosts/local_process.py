"""A process of this machine: the pipes of a Popen behind a selector, and its process group."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Callable
from typing import IO, Self, cast

from slipway.hosts.process import Chunk, StreamName

READ_SIZE = 65536


class LocalProcess:
    """A `Process` that was started with three pipes in a session of its own; leaving the context closes the pipes.

    `signal_group` is how its group is signalled, which for root's takes sudo.
    """

    location = ""

    def __init__(self, process: subprocess.Popen[bytes], signal_group: Callable[[int, signal.Signals], None]) -> None:
        self._process, self._signal_group = process, signal_group
        self._stdin, self._stdout, self._stderr = (
            cast("IO[bytes]", pipe) for pipe in (process.stdin, process.stdout, process.stderr)
        )
        self._selector = selectors.DefaultSelector()
        for pipe, events, name in (
            (self._stdin, selectors.EVENT_WRITE, "stdin"),
            (self._stdout, selectors.EVENT_READ, "stdout"),
            (self._stderr, selectors.EVENT_READ, "stderr"),
        ):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, events, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __str__(self) -> str:
        return f"pid {self._process.pid}"

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._stdin.fileno(), data)
        except BlockingIOError:
            return 0

    def close_stdin(self) -> None:
        self._selector.unregister(self._stdin)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def read(self, seconds: float) -> list[Chunk]:
        if not self._selector.get_map():  # all pipes are closed: only its end is awaited
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return []
        chunks: list[Chunk] = []
        for key, _ in self._selector.select(seconds):
            if key.data == "stdin":
                continue
            if chunk := os.read(key.fd, READ_SIZE):
                chunks.append((cast("StreamName", key.data), chunk))
            else:
                self._selector.unregister(key.fileobj)
        return chunks

    def finished(self) -> bool:
        open_streams = {key.data for key in self._selector.get_map().values()} - {"stdin"}
        return not open_streams and not self.running()

    def exit_code(self) -> int:
        return int(self._process.returncode)

    def signal(self, number: signal.Signals) -> None:
        self._signal_group(self._process.pid, number)

    def running(self) -> bool:
        return self._process.poll() is None

    def group_running(self) -> bool:
        return self.running() or group_exists(self._process.pid)


def group_exists(group: int) -> bool:
    """Whether a process group has members, this user's or another's."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
