"""The engine: what acts, what waits, what is skipped, and how a run ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Finished, Outcome, Plan, Status, StepChanged
from slipway.engine.limits import ResourceLimit
from slipway.engine.plan import compute_plan, ordered, plan
from slipway.engine.reporter import Reporter
from slipway.engine.run import ATTEMPTS, Run
from slipway.engine.steps import Change, Node, Precondition, Probe, Step, one_shot
from slipway.errors import Cancelled, ConnectionLost, Problem, Unreachable, UsageError
from tasks.exit_codes import ExitCode, of_run


@dataclass(frozen=True, kw_only=True)
class Put(Step[frozenset[str]]):
    """Puts its id into a world, unless it does not `work`."""

    world: World
    act: Callable[[Reporter], None] | None
    works: bool

    def check(self, facts: frozenset[str]) -> Change | None:
        return None if self.id in facts else Change(f"{self.id} is absent")

    def apply(self, report: Reporter) -> None:
        if self.act:
            self.act(report)
        if self.works:
            self.world.there.add(self.id)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class Must(Precondition[frozenset[str]]):
    """Something that must be there, and that no step brings."""

    def verify(self, facts: frozenset[str]) -> None:
        if self.id not in facts:
            raise UsageError(f"{self.id} is absent")


class World:
    """Things that are there or not; steps put them there."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.reads = 0
        self.events: list[Event] = []
        self.probe = Probe(self._read)

    def _read(self) -> frozenset[str]:
        self.reads += 1
        return frozenset(self.there)

    def step(
        self,
        name: str,
        *after: str,
        limit: ResourceLimit | None = None,
        act: Callable[[Reporter], None] | None = None,
        works: bool = True,
    ) -> Put:
        """A step that puts `name` there; its group is what stands before a slash."""
        group, _, last = name.rpartition("/")
        return Put(
            group=group, name=last, title=name.title(), probe=self.probe, after=after, limit=limit, world=self, act=act,
            works=works,
        )  # fmt: skip

    def run(self, *steps: Node[frozenset[str]], cancel: Cancel | None = None) -> Run:
        run = Run(steps, self.events.append, cancel or Cancel())
        run.go()
        return run

    def ends(self) -> dict[str, str]:
        return {e.id: e.status.value for e in self.events if isinstance(e, StepChanged) and e.status.ended}


def test_only_what_differs_acts_and_its_reason_is_reported() -> None:
    world = World("a")
    result = world.run(world.step("a"), world.step("b", "a")).result
    assert world.ends() == {"a": "unchanged", "b": "changed"}
    assert result.reasons == {"b": "b is absent"}
    assert of_run(result) is ExitCode.DONE


def test_a_second_run_changes_nothing_and_reads_once() -> None:
    world = World()
    world.run(world.step("a"), world.step("b"))
    world.reads = 0
    world.probe.forget()
    again = world.run(world.step("a"), world.step("b")).result
    assert again.changed == 0
    assert world.reads == 1


def test_a_step_whose_action_does_not_fix_it_fails() -> None:
    world = World()
    result = world.run(world.step("a", works=False)).result
    assert result.outcome is Outcome.FAILED
    assert "it ran, but a is absent" in result.failures["a"].summary


def test_a_failure_stops_what_depends_on_it_and_nothing_else() -> None:
    def fail(_: Reporter) -> None:
        raise Problem("no")

    world = World()
    result = world.run(world.step("a", act=fail), world.step("b", "a"), world.step("c", "b"), world.step("d")).result
    assert world.ends() == {"a": "failed", "b": "skipped", "c": "skipped", "d": "changed"}
    assert of_run(result) is ExitCode.FAILED


def test_a_mistake_in_a_step_is_shown_whole_and_does_not_end_the_run() -> None:
    world = World()
    result = world.run(world.step("a", act=lambda _: [][0]), world.step("b")).result
    assert world.ends() == {"a": "failed", "b": "changed"}
    assert "IndexError" in result.failures["a"].summary
    assert "Traceback" in result.failures["a"].details


@pytest.mark.parametrize(
    ("changed_before", "kind", "expected"),
    [(False, Unreachable, 4), (False, UsageError, 2), (True, Unreachable, 1)],
)
def test_a_failures_own_exit_code_counts_only_when_nothing_was_changed(
    *, changed_before: bool, kind: type[Problem], expected: int
) -> None:
    def fail(_: Reporter) -> None:
        raise kind("no")

    world = World() if changed_before else World("a")
    result = world.run(world.step("a"), world.step("b", "a", act=fail)).result
    assert of_run(result) == expected


@pytest.mark.parametrize("width", [1, 2])
def test_no_more_steps_than_a_limit_allows_run_at_once_and_the_others_say_what_they_wait_for(width: int) -> None:
    limit, inside, most = ResourceLimit("the package manager", width), [], []
    world = World()

    def waiting() -> int:
        return len([e for e in world.events if getattr(e, "reason", "") == "waits for the package manager"])

    def work(_: Reporter) -> None:
        inside.append(1)
        most.append(len(inside))
        until(lambda: waiting() == 3 - width)
        inside.pop()

    world.run(*(world.step(name, limit=limit, act=work) for name in "abc"))
    assert set(world.ends().values()) == {"changed"}
    assert (max(most), waiting()) == (width, 3 - width)


def test_of_those_that_a_limit_holds_back_the_one_that_most_others_wait_for_is_next() -> None:
    limit, order, waiting, both = ResourceLimit("the package manager"), list[str](), list[str](), threading.Event()
    world = World()

    def held_back(name: str) -> Put:
        return world.step(name, limit=limit, act=lambda report: order.append(report.id))

    def read_late() -> frozenset[str]:
        both.wait(5)
        return frozenset(world.there)

    def note(event: Event) -> None:
        if isinstance(event, StepChanged) and event.reason == "waits for the package manager":
            waiting.append(event.id)
            if len(waiting) == 2:
                both.set()

    late = replace(held_back("late"), probe=Probe(read_late))
    behind = [world.step("x", "late"), world.step("y", "x"), world.step("z", "b")]
    result = Run([held_back("a"), held_back("b"), late, *behind], note, Cancel()).go()
    assert (order, sorted(waiting)) == (["late", "b", "a"], ["a", "b"])
    assert result.outcome is Outcome.DONE


def test_steps_without_a_limit_run_at_once() -> None:
    barrier = threading.Barrier(3, timeout=5)

    def meet(_: Reporter) -> None:
        barrier.wait()

    world = World()
    result = world.run(*(world.step(name, act=meet) for name in "abc")).result
    assert result.outcome is Outcome.DONE


def test_an_interruption_stops_what_runs_and_reports_what_was_not_done() -> None:
    cancel = Cancel()

    def work(report: Reporter) -> None:
        cancel.request()
        report.cancel.wait(30)

    world = World()
    began = time.monotonic()
    result = world.run(world.step("a", act=work), world.step("b", "a"), cancel=cancel).result
    assert time.monotonic() - began < 5
    assert of_run(result) == 130
    assert world.ends() == {"a": "skipped", "b": "skipped"}


def test_a_plan_changes_nothing_and_names_what_follows() -> None:
    world = World("a")
    result = plan([world.step("a"), world.step("b", "a"), world.step("c", "b"), world.step("d")], world.events.append)
    shown = next(e for e in world.events if isinstance(e, Plan))
    assert [(s.id, s.reason) for s in shown.steps] == [
        ("a", ""),
        ("b", "b is absent"),
        ("c", "follows from B"),
        ("d", "d is absent"),
    ]
    assert world.there == {"a"}
    assert set(result.reasons) == {"b", "c", "d"}


def test_a_probe_that_fails_in_a_plan_is_a_failure_with_its_own_code() -> None:
    def read() -> None:
        raise Unreachable("Docker does not answer")

    step, events = one_shot("a", "A", lambda _: None), list[Event]()
    step = replace(step, probe=Probe(read))
    assert of_run(plan([step], events.append)) == 4
    assert isinstance(events[-1], Finished)
    assert events[-1].status is Outcome.FAILED


def test_threads_that_ask_together_share_one_reading() -> None:
    reads = []
    probe = Probe(lambda: reads.append(1) or time.sleep(0.05))  # type: ignore[func-returns-value]
    threads = [threading.Thread(target=probe.facts) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1


@pytest.mark.parametrize("names", [(("a", "b"), ("b", "a")), (("a", "x"),), (("a",), ("a",))])
def test_a_graph_with_a_cycle_an_unknown_id_or_a_duplicate_is_a_mistake(names: tuple[tuple[str, ...], ...]) -> None:
    world = World()
    with pytest.raises(ValueError, match="steps"):
        ordered([world.step(*name) for name in names])


def test_cancel_calls_its_hooks_once_and_a_late_one_at_once() -> None:
    cancel, called = Cancel(), []
    cancel.on_request(lambda: called.append("early"))
    forget = cancel.on_request(lambda: called.append("never"))
    forget()
    cancel.request()
    cancel.on_request(lambda: called.append("late"))
    assert called == ["early", "late"]
    with pytest.raises(Cancelled):
        cancel.check()


def test_a_hook_that_fails_keeps_no_other_from_being_called() -> None:
    cancel, called = Cancel(), list[str]()
    cancel.on_request(lambda: called.remove("absent"))
    cancel.on_request(lambda: called.append("second"))
    cancel.request()
    assert called == ["second"]


def test_events_have_the_documented_fields() -> None:
    from slipway.engine.events import fields

    done = StepChanged("a", "A", Status.CHANGED, "why", 1.23456, action_seconds=1.0)
    assert fields(done) == {
        "event": "step", "id": "a", "title": "A", "status": "changed", "reason": "why", "seconds": 1.235,
    }  # fmt: skip
    finished = Finished(Outcome.DONE, 1, 2, 0, 0.5)
    assert fields(finished) == {
        "event": "finished", "status": "done", "changed": 1, "unchanged": 2, "failed": 0, "seconds": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("done_before_it_broke", [True, False])
def test_a_step_whose_connection_broke_checks_again_and_acts_only_if_it_must(
    done_before_it_broke: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cancel, "wait", lambda *_: None)
    world, acts = World(), []

    def act(_: Reporter) -> None:
        acts.append(1)
        if len(acts) == 1:
            if done_before_it_broke:
                world.there.add("a")
            raise ConnectionLost("the connection broke")

    world.run(world.step("a", act=act))
    assert world.ends() == {"a": "changed"}
    assert len(acts) == (1 if done_before_it_broke else 2)


def test_a_connection_that_never_comes_back_fails_the_step_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cancel, "wait", lambda *_: None)
    world, acts = World(), []

    def act(_: Reporter) -> None:
        acts.append(1)
        raise ConnectionLost("the connection broke")

    result = world.run(world.step("a", act=act), world.step("b")).result
    assert world.ends() == {"a": "failed", "b": "changed"}
    assert (len(acts), of_run(result)) == (ATTEMPTS, ExitCode.FAILED)


def test_a_lost_connection_after_a_change_counts_more_than_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cancel, "wait", lambda *_: None)
    world = World()
    changes = iter([False, True])

    def act(_: Reporter) -> None:
        changed = next(changes, False)
        raise ConnectionLost(f"it broke, changed: {changed}", changed=changed)

    result = world.run(world.step("a", act=act)).result
    assert (of_run(result), result.failures["a"].summary) == (ExitCode.FAILED, "it broke, changed: True")


def test_no_more_machines_than_allowed_are_changed_at_once() -> None:
    world, working, most = World(), set(), []
    lock, two = threading.Lock(), threading.Event()

    def on(host: str) -> Callable[[Reporter], None]:
        def act(_: Reporter) -> None:
            with lock:
                working.add(host)
                most.append(len(working))
                if len(working) == 2:
                    two.set()
            assert two.wait(10)
            time.sleep(0.05)  # in which a third one could begin
            with lock:
                working.discard(host)

        return act

    steps = [world.step(f"h{n}/a", act=on(f"h{n}")) for n in range(5)]
    Run(steps, world.events.append, Cancel(), at_once=2).go()
    assert set(world.ends().values()) == {"changed"}
    assert max(most) == 2


def test_a_precondition_that_holds_is_unchanged_and_one_that_does_not_stops_what_is_behind_it() -> None:
    world = World("there")
    must = [Must(name=name, title=name, probe=world.probe) for name in ("there", "absent")]
    result = world.run(*must, world.step("a", "there"), world.step("b", "absent")).result
    assert world.ends() == {"there": "unchanged", "absent": "failed", "a": "changed", "b": "skipped"}
    assert result.failures["absent"].summary == "absent is absent"
    assert list(compute_plan(must).failures) == ["absent"]
