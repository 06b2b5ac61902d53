"""Threads for a run: at most so many at once, and none that the end of the process waits for."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Calls = SimpleQueue[Callable[[], None] | None]  # None: no more will come


class Threads:
    """At most `limit` calls at once, in daemon threads, which the standard library's executor does not have.

    They are reused, since to start one takes longer than most steps, and end when nobody can submit any more.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._started = limit, 0
        self._calls: Calls = SimpleQueue()
        self._idle = threading.Semaphore(0)
        weakref.finalize(self, self._calls.put, None)

    def submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Begin the work as soon as there is room; its result, or what it raised, is the future's."""
        future: Future[R] = Future()

        def run() -> None:
            try:
                future.set_result(work(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001  raised where the result is asked for
                future.set_exception(error)

        self._calls.put(run)
        if not self._idle.acquire(blocking=False) and self._started < self._limit:
            self._started += 1
            threading.Thread(target=_serve, args=(self._calls, self._idle), daemon=True).start()
        return future


def _serve(calls: Calls, idle: threading.Semaphore) -> None:
    for call in iter(calls.get, None):
        call()
        del call  # or its result would stay until the next one
        idle.release()
    calls.put(None)  # for the other threads
