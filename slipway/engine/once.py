"""What is made once for all that ask for it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Values by key, each made by the first that asks for it; others wait for it. What raises is not made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks = defaultdict[str, threading.Lock](threading.Lock)
        self._made: dict[str, T] = {}

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of a key, made now if nobody has."""
        with self._lock:
            lock = self._locks[key]
        with lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]
