"""What only so many steps at a time may use, and who is next: the step that most others wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from operator import attrgetter
from typing import Self

from slipway.engine.cancellation import Cancel

POLL = 0.1  # seconds between two looks at cancellation


class ResourceLimit:
    """What only `width` steps at a time may use: a host's package manager (1), this machine's CPUs for Leiningen."""

    def __init__(self, name: str, width: int = 1) -> None:
        self.name = name
        self._free = width
        self._queue: list[Place] = []  # the next one first; who has acquired it is not in it any more
        self._changed = threading.Condition()

    def enter(self, place: Place) -> None:
        """Put a place into the queue, behind those that are as urgent."""
        with self._changed:
            self._queue.append(place)
            self._queue.sort(key=attrgetter("urgency"), reverse=True)

    def acquire(self, place: Place, timeout: float) -> bool:
        """Wait for at most `timeout` seconds until it is this place's turn; whether it is."""

        def is_next() -> bool:
            return place in self._queue[: self._free]

        with self._changed:
            if not self._changed.wait_for(is_next, timeout):
                return False
            self._queue.remove(place)
            self._free -= 1
            self._changed.notify_all()  # there may be room for one more
            return True

    def leave(self, place: Place) -> None:
        """Take a place out of the queue, or give back what it has acquired."""
        with self._changed:
            if place in self._queue:
                self._queue.remove(place)
            else:
                self._free += 1
            self._changed.notify_all()


class Place:
    """A step's place in the queue of a limit, for the length of a `with`; it ends with what was acquired.

    A step queues up before it knows whether it has anything to do: one that is less urgent and knew earlier waits.
    `urgency` is how many steps wait for this one.
    """

    def __init__(self, limit: ResourceLimit, urgency: int) -> None:
        self._limit, self.urgency = limit, urgency

    def __enter__(self) -> Self:
        self._limit.enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._limit.leave(self)

    def acquire(self, cancel: Cancel, waits: Callable[[str], None]) -> None:
        """Wait until it is this one's turn. `waits` is called once, with the limit's name, if it is not yet."""
        if self._limit.acquire(self, 0.0):
            return
        waits(self._limit.name)
        while not self._limit.acquire(self, POLL):
            cancel.check()
