"""Whether a run is to end (Ctrl-C, SIGTERM), and what must be ended with it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from slipway.errors import Cancelled


class Cancel:
    """A request that a run ends, made once and seen by every thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._hooks: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether somebody asked the run to end."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask the run to end: every registered hook is called once, from this thread; one that fails stops no other."""
        self._event.set()
        with self._lock:
            hooks, self._hooks = self._hooks, []
        for hook in hooks:
            with contextlib.suppress(Exception):
                hook()

    def on_request(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` when the run is to end (at once if it already is); the result unregisters it."""
        with self._lock:
            if not self._event.is_set():
                self._hooks.append(hook)
                return lambda: self._discard(hook)
        hook()
        return lambda: None

    def _discard(self, hook: Callable[[], None]) -> None:
        with self._lock:
            if hook in self._hooks:
                self._hooks.remove(hook)

    def wait(self, seconds: float) -> None:
        """Sleep, or raise `Cancelled` as soon as the run is to end."""
        if self._event.wait(seconds):
            raise Cancelled

    def check(self) -> None:
        """Raise `Cancelled` if the run is to end."""
        if self._event.is_set():
            raise Cancelled
