"""How a benchmark measures: two commands in turn, so that a busy moment hits both, and their medians."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table. `bar` is what ours may take: seconds, or with a peer a multiple of the peer's time."""

    name: str
    ours: float
    bar: float
    peer: str = ""
    theirs: float = 0.0
    unit: str = "s"

    @property
    def ok(self) -> bool:
        """Whether the bar is met."""
        return self.ours <= self.bar * (self.theirs if self.peer else 1.0)

    @property
    def text(self) -> str:
        """The line as it is printed."""
        limit = (
            f"≤ {self.bar:.2f} x {self.peer} ({self.theirs:.3f} s)" if self.peer else f"≤ {self.bar:.2f} {self.unit}"
        )
        return f"{'ok  ' if self.ok else 'MISS'}  {self.name:<42} {self.ours:.3f} {self.unit}  {limit}"


def seconds(deed: Callable[[], object]) -> float:
    """How long a deed takes."""
    began = time.perf_counter()
    deed()
    return time.perf_counter() - began


def command(
    words: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Callable[[], object]:
    """A command as a deed that must succeed."""

    def deed() -> None:
        given = {**os.environ, **(env or {})}
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, env=given)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    return deed


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], times: int) -> tuple[float, float]:
    """The medians of two deeds, done in turn after one warm-up each."""
    ours()
    theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(times)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
