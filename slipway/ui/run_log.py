"""A run's log: its events as JSON lines, and each failure in full in a file of its own; readable by this user alone."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.engine.events import Event, Finished, Plan, Status, StepChanged, fields
from slipway.ui.json import json_line

if TYPE_CHECKING:
    from slipway.ui.past_runs import PastRun


class RunLog:
    """The log in a folder, which the first event creates. `command` is what runs, and in which environment."""

    def __init__(self, folder: Path, run: str) -> None:
        self.command = ""
        self._folder, self._run = folder, run
        self._steps: set[str] = set()
        self._changed: set[str] = set()
        self._events: FileIO | None = None
        self._broken = False

    def write(self, event: Event) -> None:
        """Append an event. A disk that is full ends the log, not the run, which may go on without it."""
        if self._broken:
            return
        try:
            if self._events is None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._events = _open(self._folder / "events.jsonl")
            self._events.write(_line(json_line(fields(event), self._run)))
            self._write_beside(event)
        except OSError:
            self._broken = True

    def _write_beside(self, event: Event) -> None:
        match event:
            case Plan(steps):
                self._steps, self._changed = {step.id for step in steps}, set()
            case StepChanged(name, _, status):
                if status is Status.CHANGED:
                    self._changed.add(name)
                if event.detail:
                    append(self._folder / f"{name.replace('/', '-')}.txt", event.detail)
            case Finished(status) if self.command:
                from slipway.ui.past_runs import FILE, PastRun, text

                run = PastRun(self.command, status, event.seconds, frozenset(self._steps), frozenset(self._changed))
                append(self._folder / FILE, text(run))

    def past_runs(self) -> list[PastRun]:
        """The runs of the same command with the same steps before this one, the newest first."""
        from slipway.ui.past_runs import read

        return read(self._folder.parent, self.command, self._steps) if self.command else []


def append(path: Path, text: str) -> None:
    """Add lines to a file that nobody else may read."""
    with _open(path) as out:
        out.write(_line(text))


def _open(path: Path) -> FileIO:
    return FileIO(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a")


def _line(text: str) -> bytes:
    return f"{text}\n".encode(errors="backslashreplace")
