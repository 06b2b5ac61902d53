"""One event a line as JSON, and nothing else on standard output."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, TextIO

from slipway.engine.events import Event, fields
from slipway.errors import Problem


def line(data: dict[str, Any], run: str) -> str:
    """An event's JSON line with its envelope: `time` (RFC 3339, UTC, milliseconds) and `run`."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "run": run, **data}, ensure_ascii=False, default=str)


class Jsonl:
    """The view for scripts."""

    def __init__(self, out: TextIO, run: str) -> None:
        self._out, self._run = out, run

    def event(self, event: Event) -> None:
        self._out.write(line(fields(event), self._run) + "\n")
        self._out.flush()

    def problem(self, problem: Problem, code: int) -> None:
        data = {"what": problem.summary, "why": problem.details, "fix": problem.hint, "code": code}
        self._out.write(line({"event": "error", **data}, self._run) + "\n")
        self._out.flush()

    def close(self) -> None:
        """Nothing is held back."""
