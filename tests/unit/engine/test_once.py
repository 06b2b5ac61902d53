"""What is made once for all that ask for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from slipway.engine.once import Once


def test_who_asks_for_what_is_being_made_waits_for_it() -> None:
    once, made, together = Once[int](), list[int](), threading.Barrier(2)

    def make() -> int:
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)  # for another that makes it too, which there is none of
            made.append(0)
        made.append(1)
        return len(made)

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(once.get, "aaa", [make] * 3)) == [1, 1, 1]
    assert made == [1]
    assert once.get("b", make) == 2


def test_what_raises_is_made_by_the_next() -> None:
    def fail() -> int:
        raise ValueError

    once = Once[int]()
    with pytest.raises(ValueError):
        once.get("a", fail)
    assert once.get("a", lambda: 7) == 7
