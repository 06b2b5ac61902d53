"""What earlier runs of the same command took, from a small file beside each one's log: so long may this one take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.engine.events import Outcome

FILE = "outcome.json"
LOOKED_AT = 50  # of the newest runs
RUNS = 5  # of which the median is taken


@dataclass(frozen=True)
class PastRun:
    """How a run ended. `command` is its name and its environment; `steps` and `changed` are ids."""

    command: str
    status: str
    seconds: float
    steps: frozenset[str]
    changed: frozenset[str]


def text(run: PastRun) -> str:
    """The file's text, which `read` reads."""
    data = {"command": run.command, "status": run.status, "seconds": round(run.seconds, 3)}
    return json.dumps(data | {"steps": sorted(run.steps), "changed": sorted(run.changed)})


def read(runs: Path, command: str, steps: set[str]) -> list[PastRun]:
    """The runs in a folder of logs, the newest first: those of this command and of the same steps that ended well."""
    known = (run for run in _read(runs) if run.command == command and run.steps == steps)
    return [run for run in known if run.status == Outcome.DONE]


def _read(runs: Path) -> Iterator[PastRun]:
    try:
        folders = sorted(runs.glob("*/"), reverse=True)[:LOOKED_AT]
    except OSError:
        return
    for folder in folders:
        try:
            found = json.loads((folder / FILE).read_text())
            sets = {key: frozenset(map(str, found[key])) for key in ("steps", "changed")}
            yield PastRun(str(found["command"]), str(found["status"]), float(found["seconds"]), **sets)
        except (OSError, ValueError, KeyError, TypeError):  # none: it still runs, was killed, or is an older version's
            continue


def expected(runs: Iterable[PastRun], acting: set[str], unchanged: set[str]) -> float | None:
    """The median of the newest runs that were like this one so far; None where there is none.

    They changed all that acts now, and nothing of what is unchanged now: a run that builds everything says nothing of
    one that builds nothing.
    """
    alike = [run.seconds for run in runs if acting <= run.changed and not unchanged & run.changed]
    if not alike:
        return None
    from statistics import median  # here, since it takes a while and most runs need no estimate

    return median(alike[:RUNS])
