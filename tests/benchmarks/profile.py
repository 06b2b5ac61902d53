"""Where the time of one run went: each step, what it waited for and how long it took, the critical path marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from slipway.engine.events import Event, Finished, Plan, Status, StepChanged

LEAST = 0.005  # seconds: less is not shown
COLUMNS = ("", "step", "", "began", "check", "queue", "action", "check again", "ended", "waited for")


@dataclass(frozen=True)
class StepTimes:
    """One step: when it began and ended, in seconds since the command's start, and the parts of the time between.

    `behind` is the last to end of the steps that it comes after. `queue` are the seconds until it got what only so many
    steps may have at once, and `holder` the step that had it.
    """

    id: str
    status: Status
    began: float
    check: float
    queue: float
    action: float
    check_again: float
    ended: float
    behind: str = ""
    holder: str = ""


@dataclass(frozen=True)
class Profile:
    """A run, in seconds since the command's start. `path` are the ids of the critical path.

    `opened`: Python and Invoke were there, the command began; `planned`: its steps were known; `finished`: its answer
    was known; `total`: the process had ended.
    """

    steps: tuple[StepTimes, ...]
    path: tuple[str, ...]
    opened: float
    planned: float
    finished: float
    total: float


def profile(events: Iterable[tuple[float, Event]], opened: float, total: float) -> Profile:
    """The profile of a run's events, each with the second after `opened` in which it came."""
    changes: dict[str, list[tuple[float, StepChanged]]] = {}
    after: dict[str, tuple[str, ...]] = {}
    planned = finished = total
    for second, event in events:
        match event:
            case Plan(steps):
                after, planned = {step.id: step.after for step in steps}, opened + second
            case StepChanged():
                changes.setdefault(event.id, []).append((opened + second, event))
            case Finished():
                finished = opened + second
    found = {name: _step(name, its) for name, its in changes.items() if its[0][1].status is Status.CHECKING}
    times = sorted((_waiting(step, after.get(name, ()), found) for name, step in found.items()), key=_began)
    return Profile(tuple(times), _critical_path(times), opened, planned, finished, total)


def _step(name: str, changes: Sequence[tuple[float, StepChanged]]) -> StepTimes:
    """A step by its own events."""
    first = {event.status: second for second, event in reversed(changes)}
    (began, _), (ended, last) = changes[0], changes[-1]
    acts = first.get(Status.APPLYING, ended)
    queues = first.get(Status.WAITING, acts)
    action = last.action_seconds or ended - acts
    return StepTimes(name, last.status, began, queues - began, acts - queues, action, ended - acts - action, ended)


def _waiting(step: StepTimes, after: Sequence[str], steps: Mapping[str, StepTimes]) -> StepTimes:
    """The step with whom it waited for. What only so many may have at once is had by steps of one name (`jar`)."""
    before = [steps[name] for name in after if name in steps]
    acts = step.began + step.check + step.queue
    had = [one for one in steps.values() if step.queue and _name(one) == _name(step) and step.began < one.ended <= acts]
    behind, holder = (max(found, key=_ended).id if found else "" for found in (before, had))
    return replace(step, behind=behind, holder=holder)


def _name(step: StepTimes) -> str:
    return step.id.rpartition("/")[2]


def _began(step: StepTimes) -> float:
    return step.began


def _ended(step: StepTimes) -> float:
    return step.ended


def _critical_path(steps: Sequence[StepTimes]) -> tuple[str, ...]:
    """From the step that ended last back to the first, each time to the one that was waited for."""
    found = {step.id: step for step in steps}
    path: list[str] = []
    name = max(steps, key=_ended).id if steps else ""
    while name and name not in path:
        path.append(name)
        name = found[name].holder or found[name].behind
    return tuple(reversed(path))


def text(profile: Profile) -> str:
    """The profile as a table. `*` marks the critical path."""
    rows = [COLUMNS, *(_cells(step, marked=step.id in profile.path) for step in profile.steps)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(
            cell.rjust(width) if 3 <= number <= 8 else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    last = max((step.ended for step in profile.steps), default=profile.planned)
    found = {step.id: step for step in profile.steps}
    path = " → ".join(f"{name} {found[name].ended - found[name].began:.2f}" for name in profile.path)
    return "\n".join(
        (
            f"{profile.opened:8.2f} s  Python and Invoke, until the command begins",
            f"{profile.planned - profile.opened:8.2f} s  its configuration, and the graph of its steps",
            f"{last - profile.planned:8.2f} s  the steps:",
            *table,
            f"{profile.finished - last:8.2f} s  behind the last step, until the answer",
            f"{profile.total - profile.finished:8.2f} s  until the process has ended",
            f"{profile.total:8.2f} s  in total; on the critical path: {path}",
        )
    )


def _cells(step: StepTimes, *, marked: bool) -> tuple[str, ...]:
    parts = (step.began, step.check, step.queue, step.action, step.check_again, step.ended)
    numbers = [f"{part:.2f}" if part >= LEAST else "-" for part in parts]
    return (
        "*" if marked else "",
        step.id,
        step.status.value,
        *numbers,
        ", ".join(filter(None, (step.behind, step.holder))),
    )
