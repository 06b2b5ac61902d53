"""What is made once for all that ask for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from slipway.engine.once import Once


def test_who_asks_for_what_is_being_made_waits_for_it() -> None:
    once, made, begun = Once[int](), list[int](), threading.Event()

    def make() -> int:
        begun.set()
        made.append(1)
        return len(made)

    def ask(key: str) -> int:
        begun.wait(5 if key == "waits" else 0)
        return once.get("a", make)

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(ask, ("first", "waits", "waits"))) == [1, 1, 1]
    assert once.get("b", make) == 2


def test_what_raises_is_made_by_the_next() -> None:
    def fail() -> int:
        raise ValueError

    once = Once[int]()
    with pytest.raises(ValueError):
        once.get("a", fail)
    assert once.get("a", lambda: 7) == 7
