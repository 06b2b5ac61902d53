"""What a view is: it draws the events of a run. `views.py` lists those that `--output` offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from slipway.engine.events import Event

if TYPE_CHECKING:
    from slipway.ui.past_runs import PastRun

Past = Callable[[], "Sequence[PastRun]"]  # what earlier runs of the same command took, read when it is asked for


def no_past() -> Sequence[PastRun]:
    """No earlier run is known."""
    return ()


class View(Protocol):
    """Draws events on standard output. `machine_readable`: for scripts, which get events and documents alone."""

    machine_readable: ClassVar[bool]

    def event(self, event: Event) -> None:
        """Draw one event."""

    def close(self) -> None:
        """Write what is still held back, and leave the terminal as it was."""
