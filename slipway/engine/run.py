"""Runs a graph of steps: checks what is asked, mends what differs, in threads, and says everything as events."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any

from slipway.engine.events import Emit, Finished, Outcome, Plan, PlanStep, Status, StepChanged
from slipway.engine.steps import Cancel, Change, Reporter, ResourceLimit, Step, Threads, ordered
from slipway.errors import Cancelled, ConnectionLost, Problem

WORKERS = 16
ATTEMPTS = 4  # times that a step begins again when the link to its machine breaks
POLL = 0.1  # seconds between two looks at cancellation while nothing ends


@dataclass
class RunResult:
    """How a run or a plan ended: statuses, failures and the reasons of changes, by step id."""

    outcome: Outcome = Outcome.DONE
    statuses: dict[str, Status] = field(default_factory=dict)
    failures: dict[str, Problem] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """How many steps changed something."""
        return self._count(Status.CHANGED)

    def _count(self, status: Status) -> int:
        return sum(1 for s in self.statuses.values() if s is status)

    def finished(self, seconds: float, closing: tuple[str, ...] = ()) -> Finished:
        """The run's last event."""
        unchanged, failed = self._count(Status.UNCHANGED), self._count(Status.FAILED)
        return Finished(self.outcome, self.changed, unchanged, failed, seconds, closing)


def compute_plan(steps: Iterable[Step[Any]], *, at_once: int = WORKERS) -> RunResult:
    """What `run` would change, by asking only: `reasons` of what would change, `failures` of what cannot be told.

    A step behind one that would change is not checked, since its facts are about to change: it `follows from` that one.
    """
    graph = ordered(steps)
    titles = {step.id: step.title for step in graph}
    result = RunResult()
    threads = Threads(at_once)
    probes = {id(step.probe): step.probe for step in graph}
    readings = {key: threads.submit(probe.facts) for key, probe in probes.items()}  # every probe is read at once
    for step in graph:
        source = next((dep for dep in step.after if dep in result.reasons or dep in result.failures), None)
        if source is not None:
            result.reasons[step.id] = f"follows from {titles[source]}"
            continue
        try:
            change = step.check(readings[id(step.probe)].result())
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001  see `fault`
            result.failures[step.id] = fault(step, error)
        else:
            if change:
                result.reasons[step.id] = change.reason
    result.outcome = Outcome.FAILED if result.failures else Outcome.DONE
    for step in graph:
        would = step.id in result.reasons
        result.statuses[step.id] = (
            Status.FAILED if step.id in result.failures else Status.WAITING if would else Status.UNCHANGED
        )
    return result


def fault(step: Step[Any], error: Exception) -> Problem:
    """A step's error as what the user sees: a Problem as it is, a mistake of ours whole. Call it where it is caught."""
    if isinstance(error, Problem):
        return error
    summary = f"{step.title}: {type(error).__name__}: {error}"
    return Problem(summary, details=traceback.format_exc(), hint="this is a bug in Slipway: please report it")


def plan(steps: Iterable[Step[Any]], emit: Emit, *, at_once: int = WORKERS) -> RunResult:
    """Say what `run` would change, changing nothing: one `plan`, the failures, and a `finished`."""
    began = time.monotonic()
    graph = ordered(steps)
    result = compute_plan(graph, at_once=at_once)
    untold = {name: f"cannot be told: {problem.summary}" for name, problem in result.failures.items()}
    reasons = {**result.reasons, **untold}
    emit(Plan(tuple(PlanStep(step.id, step.title, reasons.get(step.id, "")) for step in graph)))
    for step in graph:
        if problem := result.failures.get(step.id):
            emit(StepChanged(step.id, step.title, Status.FAILED, problem.summary, 0.0, str(problem)))
    emit(result.finished(time.monotonic() - began))
    return result


class Run:
    """One run of a graph. `cancel` ends it: steps under way are stopped, nothing new begins.

    Steps of at most `at_once` machines are under way together (a machine is the first part of a step's id).
    """

    def __init__(self, steps: Iterable[Step[Any]], emit: Emit, cancel: Cancel, *, at_once: int = WORKERS) -> None:
        self._graph = ordered(steps)
        self._at_once = at_once
        self._emit = emit
        self._cancel = cancel
        self._state = threading.Lock()
        self._began: dict[str, float] = {}
        self.result = RunResult(statuses=dict.fromkeys((step.id for step in self._graph), Status.WAITING))

    def go(self) -> RunResult:
        """Run until every step has ended or the run is cancelled. The caller emits `finished`."""
        self._emit(Plan(tuple(PlanStep(step.id, step.title) for step in self._graph)))
        waiting = list(self._graph)
        running: dict[Future[None], Step[Any]] = {}
        threads = Threads(WORKERS)
        while waiting or running:
            for step in self._ready(waiting):
                waiting.remove(step)
                running[threads.submit(self._step, step)] = step
            if not running:
                break
            done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
            for future in done:
                running.pop(future)
                future.result()
        for step in waiting:
            self._set(step, Status.SKIPPED, "the run was interrupted before it")
        if self._cancel.requested:
            self.result.outcome = Outcome.INTERRUPTED
        elif self.result.failures:
            self.result.outcome = Outcome.FAILED
        return self.result

    def _ready(self, waiting: list[Step[Any]]) -> list[Step[Any]]:
        if self._cancel.requested:
            return []
        ready: list[Step[Any]] = []
        open_ones = (step for step in self._graph if not self.result.statuses[step.id].ended)
        turn = list(dict.fromkeys(step.id.partition("/")[0] for step in open_ones))[: self._at_once]
        for step in list(waiting):
            statuses = [self.result.statuses[dep] for dep in step.after]
            broken = next((d for d in step.after if self._broken(d)), None)
            if broken:
                waiting.remove(step)
                self._set(step, Status.SKIPPED, f"{self._title(broken)} {self.result.statuses[broken].value}")
            elif step.id.partition("/")[0] in turn and all(status.ended for status in statuses):
                ready.append(step)
        return ready

    def _broken(self, name: str) -> bool:
        return self.result.statuses[name] in {Status.FAILED, Status.SKIPPED}

    def _title(self, name: str) -> str:
        return next(step.title for step in self._graph if step.id == name)

    def _step(self, step: Step[Any]) -> None:
        self._began[step.id] = time.monotonic()
        try:
            self._set(step, Status.CHECKING)
            change = step.check(step.probe.facts())
            if change is None:
                self._set(step, Status.UNCHANGED)
                return
            with _Held(step.lane, lambda held: self._set(step, Status.WAITING, f"waits for {held.name}"), self._cancel):
                self._apply(step, change)
        except Cancelled:
            self._set(step, Status.SKIPPED, "interrupted; run the same command again to go on")
        except Exception as error:  # noqa: BLE001  see `fault`: it stops what depends on the step and nothing else
            self._fail(step, fault(step, error))

    def _apply(self, step: Step[Any], change: Change) -> None:
        self._cancel.check()
        self._set(step, Status.APPLYING, change.reason)
        report = Reporter(step.id, self._emit, self._cancel)
        losses: list[ConnectionLost] = []
        for attempt in range(1, ATTEMPTS + 1):
            try:
                left = self._deed(step, report)
            except ConnectionLost as lost:
                losses.append(lost)
                if attempt == ATTEMPTS:
                    raise next((one for one in losses if one.changed), losses[0]) from lost
                report.note(f"{lost.summary}; reconnecting, then checking what is left to do")
                self._cancel.wait(attempt)
                continue
            break
        if left is not None:
            raise Problem(
                f"{step.title}: it ran, but {left.reason}",
                details=f"before: {change.reason}",
                hint="the lines above say what it did; run the same command again to go on",
            )
        self._set(step, Status.CHANGED, change.reason)

    def _deed(self, step: Step[Any], report: Reporter) -> Change | None:
        """Act if there is still something to do, and what is left then."""
        if step.check(step.probe.facts()) is None:
            return None
        try:
            step.apply(report)
        except Exception:
            if self._cancel.requested:
                raise Cancelled from None
            raise
        finally:
            for probe in (step.probe, *step.invalidates):
                probe.forget()
        return step.check(step.probe.facts())

    def _fail(self, step: Step[Any], problem: Problem) -> None:
        with self._state:
            self.result.failures[step.id] = problem
        self._set(step, Status.FAILED, problem.summary, str(problem))

    def _set(self, step: Step[Any], status: Status, reason: str = "", detail: str = "") -> None:
        began = self._began.get(step.id)
        with self._state:
            self.result.statuses[step.id] = status
            if status is Status.CHANGED:
                self.result.reasons[step.id] = reason
        seconds = time.monotonic() - began if began else 0.0
        self._emit(StepChanged(step.id, step.title, status, reason, seconds, detail))


class _Held:
    """A lane held for the length of a `with`; while another step has it, `told` is called once."""

    def __init__(self, lane: ResourceLimit | None, told: Any, cancel: Cancel) -> None:
        self._lane, self._told, self._cancel = lane, told, cancel

    def __enter__(self) -> None:
        if self._lane is None or self._lane.lock.acquire(blocking=False):
            return
        self._told(self._lane)
        while not self._lane.lock.acquire(timeout=POLL):
            self._cancel.check()

    def __exit__(self, *_: object) -> None:
        if self._lane is not None:
            self._lane.lock.release()
