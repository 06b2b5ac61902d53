"""The view for scripts: one event per line as JSON, and nothing else on standard output."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar, TextIO

from slipway.engine.events import Event, fields
from slipway.ui.view import Past, View


def open_view(out: TextIO, run: str, past: Past) -> View:  # noqa: ARG001  every view gets the past
    """What `views.py` calls."""
    return Json(out, run)


class Json:
    """Writes events as JSON Lines."""

    machine_readable: ClassVar = True

    def __init__(self, out: TextIO, run: str) -> None:
        self._out, self._run = out, run

    def event(self, event: Event) -> None:
        self._out.write(json_line(fields(event), self._run) + "\n")
        self._out.flush()

    def close(self) -> None:
        """Every line was written at once."""


def json_line(data: dict[str, Any], run: str) -> str:
    """An event's JSON line with its envelope: `time` (RFC 3339, UTC, milliseconds) and `run`."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "run": run, **data}, ensure_ascii=False, default=str)
