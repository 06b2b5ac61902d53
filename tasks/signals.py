"""What Ctrl-C, SIGTERM and SIGHUP do to a command."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from slipway.engine.cancellation import Cancel

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalHandler:
    """The first signal during a run asks it to end through `cancel`; a second one, or any outside a run, interrupts.

    To interrupt is to raise KeyboardInterrupt in the main thread.
    """

    def __init__(self) -> None:
        self.cancel = Cancel()
        self._running = False
        self._received = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def received(self) -> bool:
        """Whether a signal has come."""
        return self._received

    @contextmanager
    def running(self) -> Iterator[None]:
        """While a run is under way, which ends by itself when it is asked to."""
        self._running = True
        try:
            yield
        finally:
            self._running = False

    def _handle(self, *_: object) -> None:
        again, self._received = self._received, True
        threading.Thread(target=self.cancel.request, daemon=True).start()  # never in a signal handler: it takes locks
        if again or not self._running:
            raise KeyboardInterrupt
