"""How a benchmark measures: two commands in turn, so that a busy moment hits both, and their medians."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

NO_BAR = math.inf  # of a row that is only there to be compared with


@dataclass(frozen=True)
class Row:
    """One line of the table. `bar` is what ours may take: seconds, or with a peer a multiple of the peer's time.

    `aim`, in the same measure, is what is aimed at beyond the bar; 0: nothing. A bar that is missed fails, an aim does not.
    """

    name: str
    ours: float
    bar: float
    peer: str = ""
    theirs: float = 0.0
    unit: str = "s"
    notes: tuple[str, ...] = ()  # what a miss consists of
    aim: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the bar is met."""
        return self.ours <= self.bar * self._measure

    @property
    def text(self) -> str:
        """The line as it is printed."""
        mark = "" if self.bar == NO_BAR else "ok" if self.ok else "MISS"
        bar = "" if self.bar == NO_BAR else f"≤ {self.bar:.2f} {self._unit}{self._peer_time}"
        met = "met" if self.ours <= self.aim * self._measure else "not met"
        aim = f"aim: {self.aim:.2f} {self._unit}, {met}" if self.aim else ""
        line = f"{mark:<4}  {self.name:<42} {self.ours:.3f} {self.unit}  {bar:<12}  {aim}"
        return "\n".join((line.rstrip(), *self.notes))

    @property
    def _measure(self) -> float:
        return self.theirs if self.peer else 1.0

    @property
    def _unit(self) -> str:
        return f"x {self.peer}" if self.peer else self.unit

    @property
    def _peer_time(self) -> str:
        return f" ({self.theirs:.3f} {self.unit})" if self.peer else ""


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes, in seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def command(
    words: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Callable[[], object]:
    """A command as an action that must succeed."""

    def action() -> None:
        given = {**os.environ, **(env or {})}
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, env=given)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    return action


@dataclass(frozen=True)
class Load:
    """What an action took of the whole machine, beyond what this did before: CPU seconds, and bytes at its peak."""

    seconds: float
    cpu: float
    memory: float


def load(action: Callable[[], object]) -> Load:
    """The load of an action and of all that it has others do, a Docker daemon's containers as well.

    CPUs are read from /proc/stat, memory as what MemAvailable falls by (proc(5)). What the machine did in the 5 s
    before is taken off.
    """
    idle, ended = _busy(), threading.Event()
    time.sleep(5)
    rate, room = (_busy() - idle) / 5, _available()
    lowest = [room]

    def watch() -> None:
        while not ended.wait(0.2):
            lowest[0] = min(lowest[0], _available())

    watching = threading.Thread(target=watch)
    watching.start()
    before = _busy()
    try:
        took = seconds(action)
    finally:
        ended.set()
        watching.join()
    return Load(took, _busy() - before - rate * took, room - lowest[0])


def _busy() -> float:
    """CPU seconds since the start: user, nice, system, irq, softirq."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(fields[i] for i in (0, 1, 2, 5, 6)) / os.sysconf("SC_CLK_TCK")


def _available() -> float:
    text = Path("/proc/meminfo").read_text()
    return float(text.split("MemAvailable:")[1].split()[0]) * 1024


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], times: int) -> tuple[float, float]:
    """The medians of two actions, done in turn after one warm-up each."""
    ours()
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(times)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
