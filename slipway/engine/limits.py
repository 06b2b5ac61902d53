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
        self.free = width
        self.queue: list[Place] = []  # the next one first
        self.changed = threading.Condition()


class Place:
    """A step's place in the queue of a limit, for the length of a `with`; it ends with what was acquired.

    A step queues up before it knows whether it has anything to do: one that is less urgent and knew earlier waits.
    `urgency` is how many steps wait for this one.
    """

    def __init__(self, limit: ResourceLimit, urgency: int) -> None:
        self._limit, self.urgency = limit, urgency
        self._acquired = False

    def __enter__(self) -> Self:
        with self._limit.changed:
            self._limit.queue.append(self)
            self._limit.queue.sort(key=attrgetter("urgency"), reverse=True)  # stable: of two, the first comer
        return self

    def __exit__(self, *_: object) -> None:
        with self._limit.changed:
            if self._acquired:
                self._limit.free += 1
            else:
                self._limit.queue.remove(self)
            self._limit.changed.notify_all()

    def acquire(self, cancel: Cancel, waits: Callable[[str], None]) -> None:
        """Wait until it is this one's turn. `waits` is called once, with the limit's name, if it is not yet."""
        if self._acquire(0.0):
            return
        waits(self._limit.name)
        while not self._acquire(POLL):
            cancel.check()

    def _acquire(self, timeout: float) -> bool:
        with self._limit.changed:
            self._acquired = self._limit.changed.wait_for(self._is_next, timeout)
            if self._acquired:
                self._limit.queue.remove(self)
                self._limit.free -= 1
                self._limit.changed.notify_all()  # there may be room for one more
            return self._acquired

    def _is_next(self) -> bool:
        return self in self._limit.queue[: self._limit.free]
