"""A run's log: its events as JSON lines, and each failure in full in a file of its own; readable by this user alone."""

from __future__ import annotations

import os
from pathlib import Path

from slipway.engine.events import Event, StepChanged, fields
from slipway.ui.json import json_line


class RunLog:
    """The log in a folder, which the first event creates."""

    def __init__(self, folder: Path, run: str) -> None:
        self._folder, self._run = folder, run
        self._broken = False

    def write(self, event: Event) -> None:
        """Append an event. A disk that is full ends the log, not the run, which may go on without it."""
        if self._broken:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            append(self._folder / "events.jsonl", json_line(fields(event), self._run))
            if isinstance(event, StepChanged) and event.detail:
                append(self._folder / f"{event.id.replace('/', '-')}.txt", event.detail)
        except OSError:
            self._broken = True


def append(path: Path, text: str) -> None:
    """Add lines to a file that nobody else may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as out:
        out.write(text + "\n")
