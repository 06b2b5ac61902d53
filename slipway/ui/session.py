"""One command's view: chosen once, fed by the engine's events, with secrets masked and a log kept beside it."""

from __future__ import annotations

import base64
import json
import os
import select
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from slipway.engine.events import Event, Finished, Outcome, Output, StepChanged, fields
from slipway.errors import Problem, UsageError
from slipway.ui.json import Jsonl, line
from slipway.ui.plain import Plain

VIEWS = ("auto", "live", "plain", "json")
SHORTEST = 4  # characters of a value that is worth masking


class View(Protocol):
    """What draws events."""

    def event(self, event: Event) -> None: ...
    def problem(self, problem: Problem, code: int) -> None: ...
    def close(self) -> None: ...


def choose(output: str) -> str:
    """The view for `--output`: `auto` is live on a terminal and plain elsewhere. Raises Problem for another word."""
    if output not in VIEWS:
        hint = f"--output takes {', '.join(VIEWS)}"
        raise UsageError(f"--output {output} is no view", hint=hint)
    if output != "auto":
        return output
    return "live" if sys.stdout.isatty() and os.environ.get("TERM") not in {None, "dumb"} else "plain"


class Session:
    """Give `emit` to the engine. Every event is masked, logged to `log/events.jsonl` when `log` is a folder, drawn."""

    def __init__(self, output: str, *, run: str, log: Path | None = None) -> None:
        import logging

        logging.getLogger().addHandler(logging.NullHandler())  # libraries say what they have to as exceptions
        self.kind = choose(output)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a locale without an arrow must not end a run
        self._run = run
        self._log = log
        self._secrets: list[str] = []
        self._lock = threading.RLock()
        self._closed = False
        self._began = time.monotonic()
        self._finished = False
        self.fault: OSError | None = None  # why standard output took nothing more
        self._view: View = self._make()

    def _make(self) -> View:
        if self.kind == "json":
            return Jsonl(sys.stdout, self._run)
        if self.kind == "live":
            from slipway.ui.live import Live

            return Live()
        return Plain(sys.stdout)

    @property
    def json(self) -> bool:
        """Whether a script reads."""
        return self.kind == "json"

    def mask(self, values: Iterable[str]) -> None:
        """Hide these values, their lines (text comes line by line), and their usual spellings, from now on."""
        for text in {part for value in values for part in (value, *map(str.strip, value.splitlines()))}:
            if len(text) < SHORTEST:
                continue
            forms = {
                text,
                json.dumps(text)[1:-1],
                json.dumps(text, ensure_ascii=False)[1:-1],
                quote(text, safe=""),
                quote(text),
                base64.b64encode(text.encode()).decode(),
                base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
            }
            self._secrets = sorted({*self._secrets, *forms}, key=len, reverse=True)

    def masked(self, text: str) -> str:
        """Text without any registered secret."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def emit(self, event: Event) -> None:
        """Take one event, from any thread."""
        with self._lock:
            safe: Event = self._safe(event)
            self._finished = self._finished or isinstance(event, Finished)
            self._write(safe)
            self._draw(lambda: self._view.event(safe))

    def _safe(self, value: Any) -> Any:
        if not self._secrets:
            return value
        if isinstance(value, str) and type(value) is str:
            return self.masked(value)
        if isinstance(value, tuple | list):
            return tuple(self._safe(part) for part in value)
        if isinstance(value, Mapping):
            return {key: self._safe(part) for key, part in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{f.name: self._safe(getattr(value, f.name)) for f in fields_of(value)})
        return value

    def _write(self, event: Event) -> None:
        if self._log is None:
            return
        try:
            self._log.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._append(self._log / "events.jsonl", line(fields(event), self._run))
            if isinstance(event, StepChanged) and event.detail:
                self._append(self._log / f"{event.id.replace('/', '-')}.txt", event.detail)
        except OSError:
            self._log = None  # a full disk must not end a run that could go on

    @staticmethod
    def _append(path: Path, text: str) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as out:
            out.write(text + "\n")

    def _draw(self, deed: Any) -> None:
        if self._closed:
            return
        try:
            deed()
        except OSError as error:
            self._closed = True
            self.fault = None if isinstance(error, BrokenPipeError) else error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # quiet at the interpreter's exit too

    @property
    def closed(self) -> bool:
        """Whether nobody reads standard output any more."""
        if self._closed:
            return True
        poll = select.poll()
        try:
            poll.register(sys.stdout, 0)
        except (OSError, ValueError):
            return False  # it is no file
        return any(told & (select.POLLERR | select.POLLNVAL) for _, told in poll.poll(0))

    def document(self, data: dict[str, Any]) -> None:
        """One document on one line, for scripts."""
        self._print(json.dumps(self._safe(data), ensure_ascii=False) + "\n")

    def answer(self, text: str) -> None:
        """What was asked for, as it is, to people and scripts."""
        self._print(self.masked(text))

    def _print(self, text: str) -> None:
        self._draw(lambda: print(text, end="", flush=True))  # noqa: T201  ui prints

    def tell(self, event: Output, text: str | None = None) -> None:
        """A line that was asked for: an event to scripts, `text` (default: the event's) to people; no log keeps it."""
        if not self.json:
            self.say(event.text if text is None else text)
            return
        safe: Output = self._safe(event)
        self._draw(lambda: self._view.event(safe))

    def say(self, text: Any = "") -> None:
        """Something for people; scripts don't get it."""
        if self.json:
            return
        if isinstance(text, str):
            self._print(f"{self.masked(text)}\n")
            return
        from rich.console import Console

        self._draw(lambda: Console(highlight=False).print(text))

    def problem(self, problem: Problem, code: int) -> None:
        """Show an error outside a run: to a script as an event, to a person on standard error."""
        summary, details, hint = (self.masked(text) for text in (problem.summary, problem.details, problem.hint))
        safe = Problem(summary, details=details, hint=hint)
        if self.json:
            self._draw(lambda: self._view.problem(safe, code))
            self.end(Outcome.FAILED)
            return
        print(str(safe), file=sys.stderr)  # noqa: T201  ui prints

    def end(self, outcome: Outcome) -> None:
        """To a script, the last event of a command that ends outside a run."""
        if self.json and not self._finished:
            self.emit(Finished(outcome, 0, 0, 0, time.monotonic() - self._began))

    def close(self) -> None:
        """Leave the terminal as it was; what still comes is shown to nobody."""
        with self._lock:
            self._draw(self._view.close)
            self._closed = True
