"""Runs a graph of nodes in threads: checks what is asked, applies what differs, and reports everything as events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Emit, Outcome, Output, Plan, Status, StepChanged
from slipway.engine.limits import Place
from slipway.engine.plan import (
    WORKERS,
    RunResult,
    as_plan_step,
    as_problem,
    differs,
    numbers_behind,
    ordered,
    warning,
)
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Step
from slipway.engine.threads import Threads
from slipway.errors import Cancelled, ConnectionLost, Problem

ATTEMPTS = 4  # times that a step begins again when the connection to its host breaks
POLL = 0.1  # seconds between two looks at cancellation while nothing ends


class Run:
    """One run of a graph. `cancel` ends it: steps under way are stopped, nothing new begins.

    Nodes of at most `at_once` groups are under way together. `explain` makes the whole text of a failure.
    """

    def __init__(
        self,
        nodes: Iterable[AnyNode],
        emit: Emit,
        cancel: Cancel,
        *,
        explain: Callable[[Problem], str] = str,
        at_once: int = WORKERS,
    ) -> None:
        self._graph = ordered(nodes)
        self._urgency = numbers_behind(self._graph)
        self._titles = {node.id: node.title for node in self._graph}
        self._at_once = at_once
        self._emit = emit
        self._explain = explain
        self._cancel = cancel
        self._state = threading.Lock()
        self._began: dict[str, float] = {}
        self._acted: dict[str, float] = {}  # seconds of a step's action
        self.result = RunResult(statuses=dict.fromkeys((node.id for node in self._graph), Status.WAITING))

    def go(self) -> RunResult:
        """Run until every node has ended or the run is cancelled. The caller emits `finished`."""
        self._emit(Plan(tuple(map(as_plan_step, self._graph))))
        waiting = list(self._graph)
        running: dict[Future[None], AnyNode] = {}
        threads = Threads(WORKERS)
        while waiting or running:
            for node in self._ready(waiting):
                waiting.remove(node)
                running[threads.submit(self._run, node)] = node
            if not running:
                break
            done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
            for future in done:
                running.pop(future)
                future.result()
        for node in waiting:
            self._set(node, Status.SKIPPED, "the run was interrupted before it")
        if self._cancel.requested:
            self.result.outcome = Outcome.INTERRUPTED
        elif self.result.failures:
            self.result.outcome = Outcome.FAILED
        return self.result

    def _ready(self, waiting: list[AnyNode]) -> list[AnyNode]:
        """The nodes that may begin, most urgent first; those behind one that failed are skipped on the way."""
        if self._cancel.requested:
            return []
        ready: list[AnyNode] = []
        pending = (node for node in self._graph if not self.result.statuses[node.id].ended)
        groups = list(dict.fromkeys(node.group or node.id for node in pending))[: self._at_once]
        for node in list(waiting):
            statuses = [self.result.statuses[dep] for dep in node.after]
            broken = next((dep for dep in node.after if self._is_broken(dep)), None)
            if broken:
                waiting.remove(node)
                self._set(node, Status.SKIPPED, f"{self._titles[broken]} {self.result.statuses[broken].value}")
            elif (node.group or node.id) in groups and all(status.ended for status in statuses):
                ready.append(node)
        return sorted(ready, key=lambda node: -self._urgency[node.id])

    def _is_broken(self, name: str) -> bool:
        return self.result.statuses[name] in {Status.FAILED, Status.SKIPPED}

    def _run(self, node: AnyNode) -> None:
        self._began[node.id] = time.monotonic()
        try:
            with self._queued(node) as place:
                self._set(node, Status.CHECKING)
                facts = node.probe.facts()
                change = differs(node, facts)
                if text := warning(node, facts):
                    self._emit(Output(node.id, "note", text))
                if change is None or not isinstance(node, Step):
                    self._set(node, Status.UNCHANGED)
                    return
                if place:
                    place.acquire(self._cancel, lambda name: self._set(node, Status.WAITING, f"waits for {name}"))
                self._apply(node, change)
        except Cancelled:
            self._set(node, Status.SKIPPED, "interrupted; run the same command again to go on")
        except Exception as error:  # noqa: BLE001  see `as_problem`: it stops what depends on the node and nothing else
            self._fail(node, as_problem(node, error))

    def _queued(self, node: AnyNode) -> AbstractContextManager[Place | None]:
        """The node's place in the queue of what it shares with others; None where it shares nothing."""
        if not isinstance(node, Step) or node.limit is None:
            return nullcontext()
        return Place(node.limit, self._urgency[node.id])

    def _apply(self, step: Step[Any], change: Change) -> None:
        self._cancel.check()
        self._set(step, Status.APPLYING, change.reason)
        report = Reporter(step.id, self._emit, self._cancel)
        losses: list[ConnectionLost] = []
        for attempt in range(1, ATTEMPTS + 1):
            try:
                left = self._attempt(step, report)
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

    def _attempt(self, step: Step[Any], report: Reporter) -> Change | None:
        """Act if there is still something to do, and what is left then."""
        if step.check(step.probe.facts()) is None:
            return None
        began = time.monotonic()
        try:
            step.apply(report)
        except Exception:
            if self._cancel.requested:
                raise Cancelled from None
            raise
        finally:
            self._acted[step.id] = self._acted.get(step.id, 0.0) + time.monotonic() - began
            for probe in (step.probe, *step.invalidates):
                probe.forget()
        return step.check(step.probe.facts())

    def _fail(self, node: AnyNode, problem: Problem) -> None:
        with self._state:
            self.result.failures[node.id] = problem
        self._set(node, Status.FAILED, problem.summary, self._explain(problem))

    def _set(self, node: AnyNode, status: Status, reason: str = "", detail: str = "") -> None:
        began = self._began.get(node.id)
        with self._state:
            self.result.statuses[node.id] = status
            if status is Status.CHANGED:
                self.result.reasons[node.id] = reason
        seconds = time.monotonic() - began if began else 0.0
        acted = self._acted.get(node.id, 0.0)
        self._emit(StepChanged(node.id, node.title, status, reason, seconds, detail, acted))
