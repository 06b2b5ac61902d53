"""A service's sources as they stand: what its digest, its jar and its image are made from."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import Problem

NAMED = 5  # so many files that changed are named, and the others counted


@dataclass(frozen=True)
class Sources:
    """The digest, the jar made from these sources if it is there, the service's folder, and all files that count."""

    digest: str
    jar: Path | None
    folder: Path
    files: tuple[Path, ...] = ()

    def changed_since(self, moment: float) -> bool:
        """Whether a file was written, renamed or replaced at that time (in seconds, `time.time()`) or later."""
        return any(changed_at(path) >= moment for path in self.files)

    def differing_from(self, before: Sources, moment: float) -> list[str]:
        """The files (paths from the folder) that came or went since `before`, or were changed at `moment` or later."""
        changed = {path for path in self.files if changed_at(path) >= moment}
        return sorted(os.path.relpath(path, self.folder) for path in changed | set(self.files) ^ set(before.files))


def find_jar(folder: Path, digest: str, beside: Path | None = None) -> Path | None:
    """The verified jar of these sources, if there is one: beside the builder's own, where that is known."""
    name = f"*.{digest}.jar"
    found = beside.parent.glob(name) if beside else (folder / "target").rglob(name)
    return next(iter(sorted(found)), None)


def changed_at(path: Path) -> float:
    """When a file, or a link or what it points to, was changed last, in seconds; one that is gone was just now."""
    try:
        own = path.lstat().st_ctime
    except FileNotFoundError:
        return math.inf
    return max(own, path.stat().st_ctime if path.exists() else 0.0)


def changed_meanwhile(name: str, files: Sequence[str] = (), details: str = "", hint: str = "") -> Problem:
    """The error of a build whose sources are others at its end: what was made is not of these. `files` changed."""
    again = "; ".join(filter(None, ("run the same command again", hint)))
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    changed = f"changed: {', '.join(files[:NAMED])}{more}" if files else ""
    said = "\n".join(filter(None, (changed, details)))
    return Problem(f"{name}: its sources changed while it was built", details=said, hint=again)
