"""A `deploy --watch` that a test drives by saving files."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

from tests.integration.printed import printed

Event = dict[str, Any]


class Watching:
    """The events of a `deploy --watch --output json`, one behind the other."""

    def __init__(self, command: subprocess.Popen[str], lines: SimpleQueue[str]) -> None:
        self._command, self._lines = command, lines

    def _until(self, found: Callable[[Event], bool]) -> list[Event]:
        """The events up to one. Raises queue.Empty if none comes for two minutes."""
        events: list[Event] = []
        while not events or not found(events[-1]):
            events.append(json.loads(self._lines.get(timeout=120)))
        return events

    def finished(self) -> list[Event]:
        """The events of a run that ends now; the last says how."""
        return self._until(lambda event: event["event"] == "finished")

    def saved(self, save: Callable[[], object]) -> list[Event]:
        """The events of the run that a save makes, once the run before has ended and the next save is waited for."""
        self._until(lambda event: event.get("text") == "waiting for the next save")
        save()
        return self.finished()

    def interrupted(self) -> int:
        """The exit code after Ctrl-C."""
        self._command.send_signal(signal.SIGINT)
        return self._command.wait(30)


@contextmanager
def watching(words: list[str]) -> Iterator[Watching]:
    """Run this command line until the end of the context."""
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as command,
        printed(command) as lines,
    ):
        try:
            yield Watching(command, lines)
        finally:
            command.kill()
