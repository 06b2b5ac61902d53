"""Threads for a run: at most so many at once, and none that the end of the process waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """At most `limit` calls at once, each in a daemon thread."""

    def __init__(self, limit: int) -> None:
        self._room = threading.Semaphore(limit)

    def submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Begin the work as soon as there is room; its result, or what it raised, is the future's."""
        future: Future[R] = Future()

        def run() -> None:
            with self._room:
                try:
                    future.set_result(work(*args, **kwargs))
                except BaseException as error:  # noqa: BLE001  raised where the result is asked for
                    future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future
