"""One command from its start to its end, wherever it runs: input fed, output passed on by line, clocks, cancellation.

What differs between a process of this machine and one behind an SSH channel is a `Process`; `local` and `ssh.session`
have one each.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.host import Command, Result

StreamName = Literal["stdout", "stderr"]
Chunk = tuple[StreamName, bytes]

GRACE_PERIOD = 3.0  # seconds between SIGTERM and SIGKILL
POLL_INTERVAL = 0.1  # seconds between two looks at the clocks and at cancellation
INPUT_CHUNK = 32768  # bytes of standard input that are offered at a time


class InputStream(Protocol):
    """A part of standard input: a file, or bytes that are read like one."""

    def read(self, size: int, /) -> bytes: ...


class Process(Protocol):
    """A started process and its three streams. As text it is what a person would look for: `pid 17`.

    `location` follows its name in messages: "" or " on HOST".
    """

    location: str

    def write(self, data: bytes) -> int:
        """Offer standard input; returns how many bytes were taken. Raises OSError once the process reads no more."""

    def close_stdin(self) -> None:
        """End standard input."""

    def read(self, seconds: float) -> Sequence[Chunk]:
        """What the process wrote; waits at most `seconds` for it, or until standard input takes more."""

    def finished(self) -> bool:
        """Whether it has ended, and all its output was read."""

    def exit_code(self) -> int:
        """The exit code once it has finished. Raises EOFError if its connection broke before the code was known."""

    def signal(self, number: signal.Signals) -> None:
        """Signal the whole process group, unless it is gone."""

    def running(self) -> bool:
        """Whether the process itself has not ended."""

    def group_running(self) -> bool:
        """Whether a process of its group has not ended."""


class ProcessPump:
    """Runs a command whose process was started: `run`, and when that raises, `stop`."""

    def __init__(self, process: Process, command: Command, report: Reporter, stdin: Sequence[InputStream]) -> None:
        self._process, self._command, self._report = process, command, report
        self._inputs = list(stdin)
        self._input_open = True
        self._unwritten = b""
        self._output: dict[StreamName, list[bytes]] = {"stdout": [], "stderr": []}
        self._incomplete_line: dict[StreamName, bytes] = {"stdout": b"", "stderr": b""}
        self._last_activity = time.monotonic()

    def run(self) -> Result:
        """Run to the end. Raises Problem when a clock runs out, Cancelled, or EOFError when the connection broke."""
        deadline = time.monotonic() + self._command.timeout
        while not self._process.finished():
            self._report.cancel.check()
            self._check_clocks(deadline)
            self._transfer(POLL_INTERVAL)
        self._transfer(0)
        for stream, line in self._incomplete_line.items():
            self._report_line(stream, line)
        code = self._process.exit_code()
        self._report.cancel.check()
        return Result(self._command, code, b"".join(self._output["stdout"]), b"".join(self._output["stderr"]))

    def stop(self) -> None:
        """End the whole process group with SIGTERM; what is left of it after GRACE_PERIOD is killed.

        Its last output is read meanwhile, so that no full pipe keeps it from ending.
        """
        process = self._process
        process.signal(signal.SIGTERM)
        try:
            self._transfer_while(process.group_running)
        finally:
            process.signal(signal.SIGKILL)
        self._transfer_while(process.running)
        if process.running():
            self._report.note(f"`{self._command.argv[0]}` ({process}){process.location} could not be stopped")

    def _transfer_while(self, running: Callable[[], bool]) -> None:
        deadline = time.monotonic() + GRACE_PERIOD
        while running() and time.monotonic() < deadline:
            self._transfer(POLL_INTERVAL / 2)
        while self._transfer(0) and time.monotonic() < deadline:
            pass  # the last output is still in the pipes

    def _transfer(self, seconds: float) -> bool:
        """Write and read once, waiting at most `seconds` for output; returns whether there was any."""
        if self._input_open:
            self._write()
        chunks = self._process.read(seconds)
        for stream, chunk in chunks:
            self._last_activity = time.monotonic()
            self._output[stream].append(chunk)
            *lines, self._incomplete_line[stream] = (self._incomplete_line[stream] + chunk).split(b"\n")
            for line in lines:
                self._report_line(stream, line)
        return bool(chunks)

    def _write(self) -> None:
        while not self._unwritten and self._inputs:
            self._unwritten = self._inputs[0].read(INPUT_CHUNK)
            if not self._unwritten:
                self._inputs.pop(0)
        try:
            if self._unwritten and (written := self._process.write(self._unwritten)):
                self._unwritten = self._unwritten[written:]
                self._last_activity = time.monotonic()
        except OSError:  # it has ended, or reads no more
            self._unwritten = b""
            self._inputs.clear()
        if not self._unwritten and not self._inputs:
            self._input_open = False
            self._process.close_stdin()

    def _report_line(self, stream: StreamName, line: bytes) -> None:
        if text := displayed(line):
            self._report.output(stream, text)

    def _check_clocks(self, deadline: float) -> None:
        now, command = time.monotonic(), self._command
        if now > deadline:
            raise self._timeout(f"took more than {command.timeout:.0f} s")
        if command.idle is not None and now - self._last_activity > command.idle:
            raise self._timeout(f"produced no output for {command.idle:.0f} s")

    def _timeout(self, reason: str) -> Problem:
        chunks = self._output["stderr"] or self._output["stdout"] or [b""]
        last = chunks[-1].decode(errors="replace").strip()
        summary = f"`{self._command.argv[0]}` {reason}{self._process.location} and was stopped"
        return Problem(summary, details=f"$ {self._command.line}\n{last}")


def displayed(line: bytes) -> str:
    """A line of output as a terminal would display it: what a carriage return leaves of it."""
    return line.decode(errors="replace").rstrip("\r").rsplit("\r", 1)[-1]
