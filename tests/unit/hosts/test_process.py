"""The pump of commands, on a process that a test scripts: what is fed, reported, timed, and how it is stopped."""

from __future__ import annotations

import io
import signal

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts import process as pump
from slipway.hosts.host import Command
from slipway.hosts.process import Chunk, ProcessPump


class ScriptedProcess:
    """Gives `output` chunk by chunk; ends when that and its input have ended, or by a signal in `mortal`."""

    location = " on box"

    def __str__(self) -> str:
        return "pid 7"

    def __init__(self, *output: Chunk, accepts: int = 1 << 20, mortal: tuple[signal.Signals, ...] = ()) -> None:
        self.output, self.accepts, self.mortal = list(output), accepts, mortal
        self.written, self.signals, self.last_words = b"", list[signal.Signals](), list[Chunk]()
        self.stdin_open = self.alive = True
        self.broken = False

    def write(self, data: bytes) -> int:
        if not self.accepts:
            raise BrokenPipeError
        self.written += data[: self.accepts]
        return min(len(data), self.accepts)

    def close_stdin(self) -> None:
        self.stdin_open = False

    def read(self, seconds: float) -> list[Chunk]:  # noqa: ARG002  nothing is waited for
        if self.output:
            return [self.output.pop(0)]
        chunks, self.last_words = self.last_words, []
        return chunks

    def finished(self) -> bool:
        return self.broken or not (self.output or self.stdin_open or self.mortal)

    def exit_code(self) -> int:
        if self.broken:
            raise EOFError
        return 0

    def signal(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number in self.mortal:
            self.alive, self.last_words = False, [("stderr", b"bye\n")]

    def running(self) -> bool:
        return self.alive

    group_running = running


def reporter() -> tuple[Reporter, list[str]]:
    lines: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Output):
            lines.append(f"{event.stream}: {event.text}")

    return Reporter("x", hear, Cancel()), lines


def test_input_is_written_in_the_pieces_that_the_process_takes_and_output_reported_by_line() -> None:
    process = ScriptedProcess(("stdout", b"one\ntw"), ("stderr", b"10%\r20%\n"), ("stdout", b"o"), accepts=3)
    report, lines = reporter()
    stdin = [io.BytesIO(b"password\n"), io.BytesIO(b""), io.BytesIO(b"file")]
    result = ProcessPump(process, Command(("x",)), report, stdin).run()
    assert (process.written, process.stdin_open) == (b"password\nfile", False)
    assert (result.exit_code, result.stdout, result.stderr) == (0, b"one\ntwo", b"10%\r20%\n")
    assert lines == ["stdout: one", "stderr: 20%", "stdout: two"]


def test_a_process_that_reads_no_more_still_ends_with_its_own_exit_code() -> None:
    process = ScriptedProcess(("stdout", b"done\n"), accepts=0)
    assert ProcessPump(process, Command(("x",)), null_reporter(), [io.BytesIO(b"ignored")]).run().exit_code == 0


def test_a_connection_that_broke_is_never_taken_for_the_end_of_the_command() -> None:
    process = ScriptedProcess(("stdout", b"done\n"))
    process.broken = True
    with pytest.raises(EOFError):
        ProcessPump(process, Command(("x",)), null_reporter(), []).run()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Command(("x",), timeout=0.05), r"`x` took more than 0 s on box and was stopped"),
        (Command(("x",), idle=0.05), r"`x` produced no output for 0 s on box and was stopped"),
    ],
)
def test_a_clock_that_runs_out_names_the_host_and_shows_the_last_output(command: Command, words: str) -> None:
    process = ScriptedProcess(("stderr", b"the last line\n"), mortal=(signal.SIGTERM,))
    with pytest.raises(Problem, match=words) as caught:
        ProcessPump(process, command, null_reporter(), []).run()
    assert "the last line" in caught.value.details


@pytest.mark.parametrize(
    ("mortal", "lines"),
    [
        ((signal.SIGTERM,), ["stderr: bye"]),
        ((signal.SIGKILL,), ["stderr: bye"]),
        ((), ["note: `x` (pid 7) on box could not be stopped"]),
    ],
)
def test_a_group_is_terminated_then_killed_and_its_last_output_is_reported(
    mortal: tuple[signal.Signals, ...], lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "GRACE_PERIOD", 0.05)
    process, (report, reported) = ScriptedProcess(mortal=mortal), reporter()
    ProcessPump(process, Command(("x",)), report, []).stop()
    assert (process.signals, reported) == ([signal.SIGTERM, signal.SIGKILL], lines)
