"""The lock on a host: its program run by the real sh and flock, here."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled, Problem
from slipway.hosts import locks
from slipway.hosts.ssh import host_lock
from slipway.hosts.ssh.host_lock import HOLD, held


class Machine:
    """A host whose login shell runs the program; `cut` breaks the connections that there are."""

    def __init__(self) -> None:
        self.streams: list[socket.socket] = []
        self.reachable = True

    def dial(self, name: str) -> socket.socket:
        if not self.reachable:
            raise Problem("the host is away")
        ours, theirs = socket.socketpair()
        with theirs:
            line, end = ["sh", "-c", HOLD, "sh", name], theirs.fileno()
            subprocess.Popen(line, stdin=end, stdout=end, stderr=end)
        self.streams.append(ours)
        return ours

    def cut(self) -> None:
        while self.streams:
            with contextlib.suppress(OSError):
                self.streams.pop().shutdown(socket.SHUT_RDWR)


@pytest.fixture
def name() -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    yield name
    locks.docker_lock_path(name).unlink(missing_ok=True)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(host_lock, "BEAT", 0.05)
    machine = Machine()
    yield machine
    machine.cut()


def never() -> None:
    raise AssertionError("nobody else has it")


@contextmanager
def taken(
    machine: Machine, name: str, on_wait: Callable[[], None] = never, on_lost: Callable[[], None] = never
) -> Iterator[None]:
    with held(partial(machine.dial, name), on_wait, on_lost, Cancel()):
        yield


def is_free(name: str) -> bool:
    """Whether a run on the host itself gets the lock at once."""
    waits: list[str] = []
    cancel = Cancel()

    def waited(owner: str) -> None:
        waits.append(owner)
        cancel.request()

    with contextlib.suppress(Cancelled), locks.file_lock(locks.docker_lock_path(name), "me", waited, cancel):
        return True
    return False


def test_it_keeps_out_who_asks_here_and_there_until_it_ends(machine: Machine, name: str) -> None:
    with taken(machine, name):
        assert not is_free(name)
        waited = threading.Event()

        def second() -> None:
            with taken(machine, name, waited.set):
                entered.set()

        entered = threading.Event()
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(10)
        assert not entered.is_set()
    assert entered.wait(10)
    thread.join(10)
    deadline = time.monotonic() + 10
    while not is_free(name):
        assert time.monotonic() < deadline


def test_a_connection_that_broke_is_made_again(machine: Machine, name: str) -> None:
    with taken(machine, name):
        machine.cut()
        deadline = time.monotonic() + 10
        while not machine.streams:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        assert not is_free(name)


def test_a_run_that_finds_it_taken_afterwards_is_told(machine: Machine, name: str) -> None:
    lost = threading.Event()
    with taken(machine, name, on_lost=lost.set):
        machine.reachable = False
        machine.cut()
        assert lost.wait(10)


def test_waiting_for_it_can_be_cancelled(machine: Machine, name: str) -> None:
    cancel = Cancel()
    again = held(partial(machine.dial, name), cancel.request, never, cancel)
    with taken(machine, name), pytest.raises(Cancelled), again:
        raise AssertionError("two have it")


def test_what_is_no_file_is_not_locked(machine: Machine, name: str, tmp_path: Path) -> None:
    path = locks.docker_lock_path(name)
    path.symlink_to(tmp_path / "target")
    with pytest.raises(Problem, match="the lock on the host was not given") as raised, taken(machine, name):
        pass
    assert "is no regular file" in raised.value.details
    assert not (tmp_path / "target").exists()
