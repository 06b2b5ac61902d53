"""What is done when a command has ended, so that it takes nothing from what somebody waits for."""

from __future__ import annotations

from collections.abc import Callable


class AtTheEnd:
    """What is to be done when a command has ended: of several such things the last."""

    def __init__(self) -> None:
        self._last: Callable[[], None] | None = None

    def __call__(self, action: Callable[[], None]) -> None:
        """Do this, and nothing that was given before."""
        self._last = action

    def run(self) -> None:
        """Do it."""
        if self._last:
            self._last()
