"""What a view is: it draws the events of a run. `views.py` lists those that `--output` offers."""

from __future__ import annotations

from typing import ClassVar, Protocol

from slipway.engine.events import Event


class View(Protocol):
    """Draws events on standard output. `machine_readable`: for scripts, which get events and documents alone."""

    machine_readable: ClassVar[bool]

    def event(self, event: Event) -> None:
        """Draw one event."""

    def close(self) -> None:
        """Write what is still held back, and leave the terminal as it was."""
