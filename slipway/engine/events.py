"""What happened in a run, as small records. Views draw them; scripts read them as JSON; nothing else is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

Stream = Literal["stdout", "stderr", "note"]
WAITING_FOR = "waiting for "  # how a note begins that says whom or what a step waits for


class Status(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"
    CHECKING = "checking"
    UNCHANGED = "unchanged"
    APPLYING = "applying"
    CHANGED = "changed"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the step."""
        return self in {Status.UNCHANGED, Status.CHANGED, Status.FAILED, Status.SKIPPED}


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class PlanStep:
    """One line of a plan. `reason`: why it would change, `follows from X`, or empty when nothing differs.

    The other fields are the step's, for views that show steps by group and what they wait for; scripts don't get them.
    """

    id: str
    title: str
    reason: str = ""
    group: str = ""
    after: tuple[str, ...] = ()
    precondition: bool = False


@dataclass(frozen=True)
class Plan:
    """The steps of a run, in order, before it begins."""

    name: ClassVar = "plan"
    steps: tuple[PlanStep, ...]


@dataclass(frozen=True)
class ComputedPlan(Plan):
    """The plan that `--plan` asks for: a step without a reason is unchanged. Its JSON is that of a `Plan`."""


@dataclass(frozen=True)
class StepChanged:
    """A step's status changed. `reason` says why it waits, acts, fails or is skipped; `seconds` since it began.

    `action_seconds` are those of its action alone, without the checks before and behind it; scripts don't get them.
    """

    name: ClassVar = "step"
    id: str
    title: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    detail: str = ""  # a failure in full: evidence and fix, many lines
    action_seconds: float = 0.0


@dataclass(frozen=True)
class Output:
    """One line that a command of a step printed (`stdout`, `stderr`) or that Slipway says of it (`note`)."""

    name: ClassVar = "output"
    id: str
    stream: Stream
    text: str


@dataclass(frozen=True)
class Progress:
    """How far a step is. `unit`: bytes, layers, steps, seconds, …; `total` 0: not known."""

    name: ClassVar = "progress"
    id: str
    done: float
    total: float
    unit: str


@dataclass(frozen=True)
class Finished:
    """The run's end. `closing` are the lines a person wants last (URLs, next commands)."""

    name: ClassVar = "finished"
    status: Outcome
    changed: int
    unchanged: int
    failed: int
    seconds: float
    closing: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Error:
    """An error outside a run, for scripts. `code` is the exit code of the command."""

    name: ClassVar = "error"
    what: str
    why: str
    fix: str
    code: int


Event = Plan | StepChanged | Output | Progress | Finished | Error
Emit = Callable[[Event], None]


def fields(event: Event) -> dict[str, Any]:
    """The event as the plain data of its JSON line, without the run's envelope (`time`, `run`).

    The keys are those of docs: a field that is only for people is left out when it is empty.
    """
    data = {key: value for key, value in vars(event).items() if not (key in {"detail", "closing"} and not value)}
    data.pop("action_seconds", None)
    if isinstance(event, Plan):
        data["steps"] = [{"id": step.id, "title": step.title, "reason": step.reason} for step in event.steps]
    if isinstance(event, StepChanged | Finished):
        data["seconds"] = round(event.seconds, 3)
    return {"event": event.name, **data}
