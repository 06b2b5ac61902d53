"""Slipway with one more view, `record`: events as JSON lines, with all fields and the second that they came in."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TextIO

from slipway.engine import events
from slipway.engine.events import Event, Outcome, PlanStep, Progress, Status
from slipway.ui.view import Past, View

KINDS = {
    kind.__name__: kind
    for kind in (
        events.Plan, events.ComputedPlan, events.StepChanged, events.Output, events.Progress, events.Finished,
    )
}  # fmt: skip


def open_view(out: TextIO, run: str, past: Past) -> View:
    """What `slipway/ui/views.py` calls."""
    return Recorder(out)


class Recorder:
    """Writes what `read` reads. Of a step's progress, which comes many times a second, one a second is kept."""

    machine_readable: ClassVar = True

    def __init__(self, out: TextIO) -> None:
        self._out, self._began = out, time.monotonic()
        self._progressed: dict[str, int] = {}

    def event(self, event: Event) -> None:
        seconds = round(time.monotonic() - self._began, 3)
        if isinstance(event, Progress):
            last = self._progressed.get(event.id)
            self._progressed[event.id] = int(seconds)
            if last == int(seconds):
                return
        self._out.write(json.dumps([seconds, type(event).__name__, dataclasses.asdict(event)]) + "\n")
        self._out.flush()

    def close(self) -> None:
        """Every line was written at once."""


def read(file: Path) -> Iterator[tuple[float, Event]]:
    """The events of a recorded run, each with its second."""
    return map(parse, file.read_text().splitlines())


def parse(line: str) -> tuple[float, Event]:
    """One event of a recorded run, with its second."""
    seconds, kind, data = json.loads(line)
    return seconds, _event(kind, data)


def _event(kind: str, data: dict[str, Any]) -> Event:
    match kind:
        case "Plan" | "ComputedPlan":
            data["steps"] = tuple(PlanStep(**{**step, "after": tuple(step["after"])}) for step in data["steps"])
        case "StepChanged":
            data["status"] = Status(data["status"])
        case "Finished":
            data |= {"status": Outcome(data["status"]), "closing": tuple(data["closing"])}
    event: Event = KINDS[kind](**data)
    return event


def main() -> None:
    """Run Slipway's command line, in which `--output record` is known."""
    from slipway.ui.views import VIEWS
    from tasks.main import main as slipway

    VIEWS["record"] = __spec__.name
    slipway()


if __name__ == "__main__":
    main()
