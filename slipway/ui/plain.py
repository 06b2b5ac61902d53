"""The view for logs and pipes: a line for what matters, failures last and in full, one summary."""

from __future__ import annotations

import time
from typing import ClassVar, TextIO

from slipway.engine.events import ComputedPlan, Event, Finished, Outcome, Output, Progress, Status, StepChanged
from slipway.ui.text import format_progress, strip_control, strip_control_lines, summary
from slipway.ui.view import Past, View

EVERY = 5.0  # seconds between two lines of progress


def open_view(out: TextIO, run: str, past: Past) -> View:  # noqa: ARG001  every view gets the run's id and the past
    """What `views.py` calls."""
    return Plain(out)


class Plain:
    """Writes a line per change. Keeps failures to show them once more at the end."""

    machine_readable: ClassVar = False

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._failures: list[StepChanged] = []
        self._skipped: list[StepChanged] = []
        self._progressed: dict[str, tuple[float, float]] = {}
        self._plan: ComputedPlan | None = None

    def event(self, event: Event) -> None:
        match event:
            case ComputedPlan():
                self._planned(event)
            case StepChanged():
                self._step(event)
            case Output(name, _, text):
                if shown := strip_control(text):  # a builder may end its colours on a line of its own
                    self._line(f"{name} | {shown}")
            case Progress():
                self._progress(event)
            case Finished():
                self._finished(event)

    def _planned(self, plan: ComputedPlan) -> None:
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
        self._line(
            f"{event.id}  {event.status.value}{took}" + (f"  {strip_control(event.reason)}" if event.reason else "")
        )

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        shown_at, done = self._progressed.get(event.id, (now, 0.0))
        part = event.total and (event.done - done) / event.total
        if (part and part >= 0.1) or now - shown_at >= EVERY:
            self._line(f"{event.id} | {format_progress(event)}")
            shown_at, done = now, event.done
        self._progressed[event.id] = (shown_at, done)

    def _finished(self, event: Finished) -> None:
        if event.status is Outcome.INTERRUPTED:
            for step in self._skipped:
                self._line(f"not done: {step.title}")
        self._line(summary(event, self._plan))
        for failure in self._failures:
            self._line("")
            self._line(f"failed: {failure.id}")
            self._line(strip_control_lines(failure.detail or failure.reason))
        for line in event.closing:
            self._line(line)

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def close(self) -> None:
        """Every line was written at once."""
