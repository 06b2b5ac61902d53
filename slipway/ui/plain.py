"""The view for logs and pipes: a line for what matters, failures last and in full, one summary."""

from __future__ import annotations

import re
import time
from typing import TextIO

from slipway.engine.events import Event, Finished, Outcome, Output, Plan, Progress, Status, StepChanged
from slipway.errors import Problem

EVERY = 5.0  # seconds between two lines of progress
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def clean(text: str) -> str:
    """Text of a command without its control characters."""
    return CONTROL.sub("", text)


def amount(progress: Progress) -> str:
    """How far, in a person's words: `3.1 of 12.0 MB`, `step 3 of 7`, `12 s`."""
    done, total = progress.done, progress.total
    if progress.unit == "bytes":
        size, name = next(((s, n) for s, n in SIZES if max(done, total) >= s), (1, "B"))
        return f"{done / size:.1f} of {total / size:.1f} {name}" if total else f"{done / size:.1f} {name}"
    if progress.unit == "seconds":
        return f"{done:.0f} s of at most {total:.0f}"
    return f"{progress.unit} {done:.0f} of {total:.0f}" if total else f"{done:.0f} {progress.unit}"


def summary(event: Finished, plan: Plan | None = None) -> str:
    """The one line at the end of a run, or of a plan."""
    would = sum(bool(step.reason) for step in plan.steps) - event.failed if plan else 0
    changes = f"{would} would change" if would else f"{event.changed} changed"
    counts = f"{changes}, {event.unchanged} unchanged" + (f", {event.failed} failed" if event.failed else "")
    words = {Outcome.DONE: "done", Outcome.FAILED: "failed", Outcome.INTERRUPTED: "interrupted"}
    return f"{words[event.status]}: {counts} in {event.seconds:.1f} s"


class Plain:
    """The view for logs. Keeps failures to show them once more at the end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._failures: list[StepChanged] = []
        self._skipped: list[StepChanged] = []
        self._told: dict[str, tuple[float, float]] = {}
        self._plan: Plan | None = None

    def event(self, event: Event) -> None:
        """Draw one event."""
        match event:
            case Plan(steps) if any(step.reason for step in steps):
                self._planned(event)
            case StepChanged():
                self._step(event)
            case Output(name, _, text):
                self._line(f"{name} | {clean(text)}")
            case Progress():
                self._progress(event)
            case Finished():
                self._finished(event)

    def _planned(self, plan: Plan) -> None:
        self._plan = plan
        for step in plan.steps:
            self._line(f"would change  {step.id}: {step.reason}" if step.reason else f"unchanged     {step.id}")

    def _step(self, event: StepChanged) -> None:
        if event.status is Status.FAILED:
            self._failures.append(event)
        if event.status is Status.SKIPPED:
            self._skipped.append(event)
        if event.status is Status.CHECKING or (event.status is Status.WAITING and not event.reason):
            return
        took = f"  {event.seconds:.1f} s" if event.status.ended and event.seconds >= 0.05 else ""
        self._line(f"{event.id}  {event.status.value}{took}" + (f"  {clean(event.reason)}" if event.reason else ""))

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        when, done = self._told.get(event.id, (now, 0.0))
        part = event.total and (event.done - done) / event.total
        if (part and part >= 0.1) or now - when >= EVERY:
            self._line(f"{event.id} | {amount(event)}")
            when, done = now, event.done
        self._told[event.id] = (when, done)

    def _finished(self, event: Finished) -> None:
        if event.status is Outcome.INTERRUPTED:
            for step in self._skipped:
                self._line(f"not done: {step.title}")
        self._line(summary(event, self._plan))
        for failure in self._failures:
            self._line("")
            self._line(f"failed: {failure.id}")
            self._line(clean_lines(failure.detail or failure.reason))
        for line in event.closing:
            self._line(line)

    def problem(self, problem: Problem, code: int) -> None:  # noqa: ARG002  a shell shows it
        """Show an error outside a run."""
        self._line(clean_lines(str(problem)))

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing is held back."""


def clean_lines(text: str) -> str:
    """Many lines, each clean."""
    return "\n".join(clean(line) for line in text.splitlines())
