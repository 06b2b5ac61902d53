"""What the live view knows of a run: its steps in groups (services, hosts), from the plan and the events since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from slipway.engine.events import WAITING_FOR, Output, PlanStep, Progress, Status, StepChanged
from slipway.ui.text import strip_control

SAID = 60.0  # seconds for which a line of no step is shown: such as that a key waits for a touch
ACTIVE = {Status.CHECKING, Status.APPLYING}


@dataclass
class StepState:
    """What is known of one step. `began` is on the board's clock; `waits` is whom or what it says it waits for."""

    plan: PlanStep
    name: str
    status: Status = Status.WAITING
    reason: str = ""
    waits: str = ""
    began: float | None = None
    seconds: float = 0.0
    progress: Progress | None = None
    detail: str = ""

    @property
    def active(self) -> bool:
        """Whether it is under way."""
        return self.status in ACTIVE


@dataclass
class Group:
    """A service or a host with its steps, or a step that belongs to none."""

    name: str
    steps: list[StepState] = field(default_factory=list)

    @property
    def active(self) -> StepState | None:
        """The step that is under way: the last of them, since those before only ask."""
        return next((step for step in reversed(self.steps) if step.active and not step.waits), None)

    @property
    def waiting(self) -> StepState | None:
        """The step that says what it waits for."""
        return next((step for step in self.steps if step.waits), None)

    @property
    def failed(self) -> StepState | None:
        """The step that failed."""
        return next((step for step in self.steps if step.status is Status.FAILED), None)

    @property
    def skipped(self) -> StepState | None:
        """The first step that was skipped."""
        return next((step for step in self.steps if step.status is Status.SKIPPED), None)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to any of its steps."""
        return all(step.status.ended for step in self.steps)

    @property
    def untouched(self) -> bool:
        """Whether none of its steps has begun."""
        return all(step.status is Status.WAITING and not step.waits for step in self.steps)

    @property
    def status(self) -> Status:
        """The one word for all of its steps: what went wrong first, then what is under way, then what changed."""
        found = {step.status for step in self.steps}
        order = (Status.FAILED, Status.APPLYING, Status.CHECKING, Status.SKIPPED, Status.WAITING, Status.CHANGED)
        return next((status for status in order if status in found), Status.UNCHANGED)


class Board:
    """The state of a run. `columns` are the stages of the groups in `rows`; `singles` are all other steps, alone."""

    def __init__(self, steps: Iterable[PlanStep], clock: Callable[[], float]) -> None:
        self.clock = clock
        self.began = clock()
        self.steps: dict[str, StepState] = {}
        self._lines: dict[str, tuple[str, float]] = {}  # by step, its last line and when it came, the newest last
        groups: dict[str, Group] = {}
        for step in steps:
            state = self.steps[step.id] = StepState(step, step.id.removeprefix(f"{step.group}/"))
            groups.setdefault(step.group or step.id, Group(step.group or step.id)).steps.append(state)
        stages = _stages([group for group in groups.values() if group.steps[0].plan.group])
        self.rows = [group for group in groups.values() if stages & _names(group) and group.steps[0].plan.group]
        apart = [group for group in groups.values() if group not in self.rows]
        self.singles = [Group(step.plan.id, [step]) for group in apart for step in group.steps]
        shown = [step for group in self.rows for step in group.steps if not step.plan.precondition]
        self.columns = list(dict.fromkeys(step.name for step in shown))

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The last line of each step that is under way, the newest last; what a host says stays for a minute."""
        since = self.clock() - SAID
        return [(name, text) for name, (text, then) in self._lines.items() if name in self.steps or then >= since]

    @property
    def elapsed(self) -> float:
        """The seconds since the plan."""
        return self.clock() - self.began

    @property
    def acting(self) -> set[str]:
        """The steps that have something to do, or had; one that has asked and waits has too."""
        return {
            name
            for name, step in self.steps.items()
            if step.status in {Status.APPLYING, Status.CHANGED} or (step.status is Status.WAITING and step.waits)
        }

    @property
    def unchanged(self) -> set[str]:
        """The steps that had nothing to do."""
        return {name for name, step in self.steps.items() if step.status is Status.UNCHANGED}

    def take(self, event: StepChanged | Output | Progress) -> None:
        """Take one event."""
        match event:
            case StepChanged():
                self._change(event)
            case Output():
                self._output(event)
            case Progress():
                self._progress(event)

    def _change(self, event: StepChanged) -> None:
        """Take a step's new status."""
        step = self._step(event)
        if event.status in ACTIVE and step.began is None:
            step.began = self.clock()
        step.status, step.seconds, step.detail = event.status, event.seconds, event.detail
        step.reason, step.waits = strip_control(event.reason), ""
        if event.status is Status.WAITING:
            step.waits = step.reason.removeprefix("waits for ")
        if event.status.ended:
            self._lines.pop(event.id, None)

    def _output(self, event: Output) -> None:
        """Take a line: whom a step waits for is its own, everything else is the newest activity."""
        step, text = self.steps.get(event.id), strip_control(event.text).strip()
        if step and event.stream == "note" and text.startswith(WAITING_FOR):
            step.waits = text.removeprefix(WAITING_FOR)
            self._lines.pop(event.id, None)
            return
        if step:
            step.waits = ""
        if text and not (step and step.status.ended):
            self._lines.pop(event.id, None)
            self._lines[event.id] = (text, self.clock())

    def _progress(self, event: Progress) -> None:
        """Take how far a step is."""
        if step := self.steps.get(event.id):
            step.progress, step.waits = event, ""

    def seconds(self, step: StepState) -> float:
        """How long a step took, or has taken so far."""
        running = step.began is not None and (step.active or step.waits)
        return self.clock() - (step.began or 0.0) if running else step.seconds

    def blockers(self, group: Group) -> list[str]:
        """The steps that the next step of a group waits for, by id; those of the group have ended before it."""
        step = next((step for step in group.steps if not step.status.ended), None)
        return [name for name in (step.plan.after if step else ()) if not self.steps[name].status.ended]

    def _step(self, event: StepChanged) -> StepState:
        return self.steps.setdefault(event.id, StepState(PlanStep(event.id, event.title), event.id))


def _names(group: Group) -> set[str]:
    return {step.name for step in group.steps}


def _stages(groups: Sequence[Group]) -> set[str]:
    """The names of the stages that most groups share; with none shared, those of the longest group, or the last."""
    shared = Counter(name for group in groups for name in _names(group))
    if not groups:
        return set()

    def weight(group: Group) -> tuple[int, int]:
        return max(shared[name] for name in _names(group)), len(group.steps)

    best = max(reversed(groups), key=weight)
    return _names(best)
