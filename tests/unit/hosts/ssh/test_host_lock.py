"""The lock on a host: its program run by the real sh and flock, here."""

from __future__ import annotations

import contextlib
import fcntl
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
from slipway.hosts.ssh.host_lock import HOLD, Told, held
from slipway.hosts.ssh.remote_scripts import OUTPUT_MARK

PROGRAM = HOLD.removeprefix(f"echo {OUTPUT_MARK.decode()}; ").replace("timeout 30", "timeout 2")


class Unsent(socket.socket):
    """A connection that has broken on this side, and of whose end the host does not know."""

    def sendall(self, *_: object) -> None:
        raise OSError("it is broken")

    def shutdown(self, _: int) -> None:
        """Nobody hears of it."""


class Machine:
    """A host whose login shell runs the program; `cut` breaks the connections that there are."""

    def __init__(self) -> None:
        self.streams: list[socket.socket] = []
        self.unheard: list[socket.socket] = []
        self.reachable, self.breaks = True, False
        self.answers: Callable[[], object] = threading.active_count  # a connection is made once this is true

    def dial(self, name: str, owner: str) -> socket.socket:
        if not self.reachable:
            raise Problem("the host is away")
        eventually(self.answers)
        ours, theirs = socket.socketpair()
        with theirs:
            line, end = ["sh", "-c", PROGRAM, "sh", name, owner], theirs.fileno()
            subprocess.Popen(line, stdin=end, stdout=end, stderr=end)
        self.streams.append(ours)
        if self.breaks:
            self.breaks = False
            self.unheard.append(ours.dup())
            return Unsent(fileno=ours.detach())
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


def never(_: str) -> None:
    raise AssertionError("nobody else has it")


@contextmanager
def taken(
    machine: Machine, name: str, owner: str = "one", on_wait: Told = never, on_lost: Told = never
) -> Iterator[None]:
    with held(partial(machine.dial, name, owner), on_wait, on_lost, Cancel()):
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


def eventually(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_keeps_out_who_asks_here_and_there_until_it_ends(machine: Machine, name: str) -> None:
    waits, entered = list[str](), threading.Event()

    def second() -> None:
        with taken(machine, name, "another", waits.append):
            entered.set()

    with taken(machine, name):
        assert not is_free(name)
        thread = threading.Thread(target=second)
        thread.start()
        eventually(lambda: waits)
        assert (waits, entered.is_set()) == (["one"], False)
    assert entered.wait(15)
    thread.join(15)
    eventually(partial(is_free, name))


def test_a_connection_that_broke_is_made_again(machine: Machine, name: str) -> None:
    with taken(machine, name):
        machine.cut()
        eventually(lambda: machine.streams and not is_free(name))


def test_what_held_it_before_the_connection_broke_is_no_other_run(machine: Machine, name: str) -> None:
    machine.breaks = True
    with taken(machine, name):
        assert not is_free(name)
        eventually(lambda: len(machine.streams) == 2)
        first = machine.unheard[0]
        first.settimeout(15)
        assert first.recv(64) == b""  # the program heard nothing more, and has ended
        eventually(lambda: not is_free(name))


def test_a_run_that_finds_it_taken_afterwards_is_told_by_whom(machine: Machine, name: str) -> None:
    lost = list[str]()
    with taken(machine, name, on_lost=lost.append):
        machine.answers = lambda: "another" in locks.docker_lock_path(name).read_text()
        another = Machine()
        waiting = threading.Thread(target=hold_until, args=(another, name, lost), daemon=True)
        waiting.start()
        eventually(lambda: another.streams)
        machine.cut()
        eventually(lambda: lost)
    assert lost == ["another has it"]
    waiting.join(15)


def hold_until(machine: Machine, name: str, lost: list[str]) -> None:
    with taken(machine, name, "another", lambda _: None):
        eventually(lambda: lost)


def test_a_run_whose_host_stays_away_is_told_so(machine: Machine, name: str) -> None:
    lost = list[str]()
    with taken(machine, name, on_lost=lost.append):
        machine.reachable = False
        machine.cut()
        eventually(lambda: lost)
    assert lost == ["the host is away"]


def test_waiting_for_it_can_be_cancelled(machine: Machine, name: str) -> None:
    cancel = Cancel()
    again = held(partial(machine.dial, name, "another"), lambda _: cancel.request(), never, cancel)
    with taken(machine, name), pytest.raises(Cancelled), again:
        raise AssertionError("two have it")


def test_what_is_no_file_is_not_locked(machine: Machine, name: str, tmp_path: Path) -> None:
    path = locks.docker_lock_path(name)
    path.symlink_to(tmp_path / "target")
    with pytest.raises(Problem, match="the lock on the host was not given") as raised, taken(machine, name):
        pass
    assert "is no regular file" in raised.value.details
    assert not (tmp_path / "target").exists()


def test_one_that_has_not_written_its_owner_yet_is_looked_at_again(machine: Machine, name: str) -> None:
    path = locks.docker_lock_path(name)
    path.touch()
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        timers = [
            threading.Timer(0.5, path.write_text, ["one"]),
            threading.Timer(1.5, fcntl.flock, [file, fcntl.LOCK_UN]),
        ]
        for timer in timers:
            timer.start()
        with taken(machine, name, "one"):  # `never` hears of no other
            assert path.read_text() == "one"
