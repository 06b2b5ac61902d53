"""What a run would change: its graph in order, and the reason of each node, told without changing anything."""

from __future__ import annotations

import heapq
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from slipway.engine.events import ComputedPlan, Emit, Finished, Outcome, Output, PlanStep, Status, StepChanged
from slipway.engine.steps import AnyNode, Change, Precondition, Step
from slipway.engine.threads import Threads
from slipway.errors import Cancelled, Problem

WORKERS = 16  # nodes that are under way at once


@dataclass
class RunResult:
    """How a run or a plan ended: statuses, failures and the reasons of changes, by node id."""

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


def ordered(nodes: Iterable[AnyNode]) -> list[AnyNode]:
    """The nodes, each behind those that it comes after; otherwise as they were given.

    Raises ValueError for an id given twice, an unknown dependency or a cycle: those are mistakes in a flow.
    """
    given = list(nodes)
    index = {node.id: number for number, node in enumerate(given)}
    if len(index) != len(given):
        double = min(node.id for node in given if given[index[node.id]] is not node)
        raise ValueError(f"two steps share an id: {double}")
    sorter = TopologicalSorter({node.id: node.after for node in given})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"steps wait for each other: {' → '.join(error.args[1])}") from error
    ready: list[int] = []
    result: list[AnyNode] = []
    while sorter.is_active():
        names = sorter.get_ready()
        if strange := [name for name in names if name not in index]:
            raise ValueError(f"steps wait for what does not exist: {', '.join(strange)}")
        for name in names:
            heapq.heappush(ready, index[name])
        node = given[heapq.heappop(ready)]
        sorter.done(node.id)
        result.append(node)
    return result


def numbers_behind(graph: Sequence[AnyNode]) -> dict[str, int]:
    """How many nodes come after each, at once or behind others. The graph is in order."""
    behind: dict[str, set[str]] = {node.id: set() for node in graph}
    for node in reversed(graph):
        for before in node.after:
            behind[before] |= {node.id} | behind[node.id]
    return {name: len(others) for name, others in behind.items()}


def differs(node: AnyNode, facts: Any) -> Change | None:
    """Why a node must act, or None. Raises Problem for a precondition that does not hold."""
    match node:
        case Step():
            return node.check(facts)
        case Precondition():
            node.verify(facts)
    return None


def warning(node: AnyNode, facts: Any) -> str:
    """What is told of a precondition that holds; empty: nothing."""
    return node.warning(facts) if isinstance(node, Precondition) else ""


def compute_plan(nodes: Iterable[AnyNode], *, at_once: int = WORKERS) -> RunResult:
    """What a run would change, by asking only: `reasons` of what would change, `failures` of what cannot be told.

    A node behind one that would change is not checked, since its facts are about to change: it `follows from` that one.
    """
    graph = ordered(nodes)
    titles = {node.id: node.title for node in graph}
    result = RunResult()
    threads = Threads(at_once)
    probes = {id(node.probe): node.probe for node in graph}
    readings = {key: threads.submit(probe.facts) for key, probe in probes.items()}  # every probe is read at once
    for node in graph:
        source = next((dep for dep in node.after if dep in result.reasons or dep in result.failures), None)
        if source is not None:
            result.reasons[node.id] = f"follows from {titles[source]}"
            continue
        try:
            change = differs(node, readings[id(node.probe)].result())
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001  see `as_problem`
            result.failures[node.id] = as_problem(node, error)
        else:
            if change:
                result.reasons[node.id] = change.reason
    result.outcome = Outcome.FAILED if result.failures else Outcome.DONE
    for node in graph:
        would = node.id in result.reasons
        result.statuses[node.id] = (
            Status.FAILED if node.id in result.failures else Status.WAITING if would else Status.UNCHANGED
        )
    return result


def as_plan_step(node: AnyNode, reason: str = "") -> PlanStep:
    """A node as a line of a plan."""
    return PlanStep(node.id, node.title, reason, node.group, node.after, isinstance(node, Precondition))


def as_problem(node: AnyNode, error: Exception) -> Problem:
    """A node's error as what the user sees: a Problem as it is, a bug of ours whole. Call it where it is caught."""
    if isinstance(error, Problem):
        return error
    summary = f"{node.title}: {type(error).__name__}: {error}"
    return Problem(summary, details=traceback.format_exc(), hint="this is a bug in Slipway: please report it")


def plan(
    nodes: Iterable[AnyNode], emit: Emit, *, explain: Callable[[Problem], str] = str, at_once: int = WORKERS
) -> RunResult:
    """Report what a run would change, changing nothing: one `plan`, the failures, and a `finished`.

    `explain` makes the whole text of a failure.
    """
    began = time.monotonic()
    graph = ordered(nodes)
    result = compute_plan(graph, at_once=at_once)
    unknown = {name: f"unknown: {problem.summary}" for name, problem in result.failures.items()}
    reasons = {**result.reasons, **unknown}
    emit(ComputedPlan(tuple(as_plan_step(node, reasons.get(node.id, "")) for node in graph)))
    for node in graph:
        if problem := result.failures.get(node.id):
            emit(StepChanged(node.id, node.title, Status.FAILED, problem.summary, 0.0, explain(problem)))
        elif node.id not in result.reasons and (text := warning(node, node.probe.facts())):
            emit(Output(node.id, "note", text))
    emit(result.finished(time.monotonic() - began))
    return result
