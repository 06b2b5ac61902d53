"""Threads: how many at once, what they answer, and that they end."""

from __future__ import annotations

import threading
import time

import pytest

from slipway.engine.threads import Threads


def test_at_most_so_many_calls_run_at_once_and_the_others_afterwards() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return number

    threads = Threads(3)
    assert [future.result() for future in [threads.submit(work, number) for number in range(12)]] == list(range(12))
    assert most == 3


def test_an_idle_thread_takes_the_next_call() -> None:
    threads, used = Threads(20), set[int]()
    for _ in range(20):
        used.add(threads.submit(threading.get_ident).result())
        time.sleep(0.01)  # for it to be idle again
    assert len(used) < 10


def test_what_a_call_raises_is_raised_where_its_result_is_asked_for() -> None:
    threads = Threads(1)
    failed = threads.submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        failed.result()
    assert threads.submit(int, "1").result() == 1


def test_calls_that_were_submitted_end_and_then_their_threads() -> None:
    before = set(threading.enumerate())
    begin, done = threading.Event(), list[int]()

    def work(number: int) -> None:
        begin.wait()
        done.append(number)

    threads = Threads(2)
    for number in range(4):
        threads.submit(work, number)
    started = set(threading.enumerate()) - before
    assert len(started) == 2
    del threads
    begin.set()
    for thread in started:
        thread.join(5)
    assert (sorted(done), [thread.is_alive() for thread in started]) == ([0, 1, 2, 3], [False, False])
