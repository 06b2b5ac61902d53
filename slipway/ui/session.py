"""One command's output: events to its view and its log, answers to standard output, and no secret in any of them."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from slipway.engine.events import Error, Event, Finished, Outcome, Output
from slipway.engine.masking import Masker
from slipway.errors import Problem
from slipway.ui.run_log import RunLog
from slipway.ui.views import choose_view, open_view


class Session:
    """Give `emit` to the engine. Every event is masked, logged to `log/events.jsonl` when `log` is a folder, drawn.

    Raises UsageError for an unknown `output`. `write_error` is why standard output could no longer be written.
    """

    def __init__(self, output: str, *, run: str, log: Path | None = None) -> None:
        import logging

        logging.getLogger().addHandler(logging.NullHandler())  # libraries' warnings: what matters is raised
        view = choose_view(output)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a locale without an arrow must not end a run
        self._log = RunLog(log, run) if log else None
        self._masker = Masker()
        self._lock = threading.RLock()
        self._closed = False
        self._began = time.monotonic()
        self._finished = False
        self.write_error: OSError | None = None
        self._view = open_view(view, sys.stdout, run, self._log.past_runs if self._log else None)

    @property
    def machine_readable(self) -> bool:
        """Whether a script reads: it gets events and documents, and no text."""
        return self._view.machine_readable

    def name_run(self, command: str) -> None:
        """Say what runs, and in which environment: later runs of the same look up what it took."""
        if self._log:
            self._log.command = command

    def mask(self, secrets: Iterable[str]) -> None:
        """Hide these values from now on."""
        self._masker.register(secrets)

    def emit(self, event: Event) -> None:
        """Take one event, from any thread."""
        with self._lock:
            masked: Event = self._masker.mask_all(event)
            self._finished = self._finished or isinstance(event, Finished)
            if self._log:
                self._log.write(masked)
            self._draw(self._view.event, masked)

    def print_json(self, document: dict[str, Any]) -> None:
        """What a script asked for: one document on one line."""
        self._print(json.dumps(self._masker.mask_all(document), ensure_ascii=False) + "\n")

    def print_raw(self, text: str) -> None:
        """What was asked for, as it is, for people and scripts."""
        self._print(self._masker.mask(text))

    def print_line(self, event: Output, text: str | None = None) -> None:
        """A line that was asked for: scripts get the event, people `text` (default: the event's). It is not logged."""
        self.print_event(event, event.text if text is None else text)

    def print_event(self, event: Event, text: str, end: str = "\n") -> None:
        """What happens outside a run: scripts get the event, people `text`. It is not logged."""
        if not self.machine_readable:
            self.print(text, end)
            return
        masked: Event = self._masker.mask_all(event)
        self._draw(self._view.event, masked)

    def print(self, text: str = "", end: str = "\n") -> None:
        """A line for people, which may go on; scripts don't get it."""
        if not self.machine_readable:
            self._print(f"{self._masker.mask(text)}{end}")

    def problem(self, problem: Problem, code: int) -> None:
        """Show an error outside a run: to a script as an event, to people on standard error."""
        if self.machine_readable:
            event = Error(problem.summary, problem.details, problem.hint, code)
            self._draw(self._view.event, self._masker.mask_all(event))
            self.finish(Outcome.FAILED)
            return
        print(self._masker.mask(str(problem)), file=sys.stderr)  # noqa: T201  ui prints

    def finish(self, outcome: Outcome) -> None:
        """The last event of a command that ended outside a run, for scripts."""
        if self.machine_readable and not self._finished:
            self.emit(Finished(outcome, 0, 0, 0, time.monotonic() - self._began))

    @property
    def reader_gone(self) -> bool:
        """Whether nobody reads standard output any more."""
        if self._closed:
            return True
        poll = select.poll()
        try:
            poll.register(sys.stdout, 0)
        except (OSError, ValueError):
            return False  # standard output is not a file
        return any(events & (select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))

    def close(self) -> None:
        """Leave the terminal as it was; later events are dropped."""
        with self._lock:
            self._draw(self._view.close)
            self._closed = True

    def _print(self, text: str) -> None:
        self._draw(write, text)

    def _draw(self, draw: Callable[..., None], *args: Any) -> None:
        """Write to standard output, until it breaks: a closed pipe is no error, a full disk is `write_error`."""
        if self._closed:
            return
        try:
            draw(*args)
        except OSError as error:
            self._closed = True
            self.write_error = None if isinstance(error, BrokenPipeError) else error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # quiet at the interpreter's exit too


def write(text: str) -> None:
    """Text to standard output, at once."""
    print(text, end="", flush=True)  # noqa: T201  ui prints
