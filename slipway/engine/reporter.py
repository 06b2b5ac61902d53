"""What an action reports through while it works: output lines, progress, and whether it is to end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from slipway.engine.cancellation import Cancel
from slipway.engine.events import WAITING_FOR, Emit, Event, Output, Progress

BYTES_EVERY = 0.1  # seconds between two events of a stream: nobody sees more, and a pull would log thousands


@dataclass(frozen=True)
class Reporter:
    """The events of one step. `cancel` is checked by whatever takes long."""

    id: str
    emit: Emit
    cancel: Cancel
    _told: list[float] = field(default_factory=list, compare=False)  # when the last bytes were told

    def note(self, text: str) -> None:
        """A line that Slipway says of the step."""
        self.emit(Output(self.id, "note", text))

    def waiting_for(self, what: str) -> None:
        """A note that the step waits: for whoever holds a lock, or for what is not ready yet."""
        self.note(f"{WAITING_FOR}{what}")

    def output(self, stream: Any, text: str) -> None:
        """A line that a command printed."""
        self.emit(Output(self.id, stream, text))

    def progress(self, done: float, total: float, unit: str) -> None:
        """How far the step is; `total` 0: not known. Of bytes that come at once, only some are told, and the last."""
        if unit == "bytes":
            now = time.monotonic()
            if done != total and self._told and now - self._told[-1] < BYTES_EVERY:
                return
            self._told[:] = [now]
        self.emit(Progress(self.id, done, total, unit))


def null_reporter(cancel: Cancel | None = None) -> Reporter:
    """A reporter that nobody listens to, for questions."""
    return Reporter("", _discard, cancel or Cancel())


def notes_only(report: Reporter) -> Reporter:
    """The same reporter for a question: what its command prints is not shown, but that a connection broke is."""
    return replace(report, emit=partial(_emit_note, report.emit))


def uncancellable(report: Reporter) -> Reporter:
    """The same reporter for work that an interruption must not interrupt: a rollback."""
    return replace(report, cancel=Cancel())


def _emit_note(emit: Emit, event: Event) -> None:
    if isinstance(event, Output) and event.stream == "note":
        emit(event)


def _discard(_: object) -> None:
    """Take an event and do nothing with it."""
