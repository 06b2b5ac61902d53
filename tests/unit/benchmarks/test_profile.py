"""Where the time of a run went, by its own events: those of the recorded deploy, and of a run of the engine."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Status
from slipway.engine.limits import ResourceLimit
from slipway.engine.reporter import Reporter
from slipway.engine.run import Run
from slipway.engine.steps import Change, Probe, Step
from tests.benchmarks.profile import Profile, profile, text
from tests.integration.project import ROOT
from tests.pictures.recorder import read

DEPLOY = ROOT / "tests" / "pictures" / "deploy.jsonl"


@dataclass(frozen=True, kw_only=True)
class Slow(Step[None]):
    """Takes so many seconds to check and to act."""

    checks: float = 0.0
    acts: float = 0.0
    done: list[bool] = field(default_factory=list)

    def check(self, _: None) -> Change | None:
        time.sleep(self.checks)
        return None if self.done else Change("it was not done")

    def apply(self, _: Reporter) -> None:
        time.sleep(self.acts)
        self.done.append(True)


def nothing() -> None:
    """No facts."""


def profile_of(*steps: Slow) -> Profile:
    began, events = time.monotonic(), list[tuple[float, Event]]()

    def emit(event: Event) -> None:
        events.append((time.monotonic() - began, event))

    Run(steps, emit, Cancel()).go()
    return profile(events, 1.0, 1.0 + time.monotonic() - began)


def slow(name: str, *after: str, limit: ResourceLimit | None = None, checks: float = 0.0, acts: float = 0.0) -> Slow:
    group, _, last = name.rpartition("/")
    return Slow(
        group=group, name=last, title=name, probe=Probe(nothing), after=after, limit=limit, checks=checks, acts=acts
    )


def test_the_parts_of_a_step_are_what_it_spent_on_each() -> None:
    (step,) = profile_of(slow("a/jar", checks=0.1, acts=0.3)).steps
    assert step.status is Status.CHANGED
    assert step.check >= 0.1
    assert step.action >= 0.3
    assert step.check_again >= 0.2  # once more before it acts, and behind it
    assert step.began >= 1.0
    assert step.ended - step.began == pytest.approx(step.check + step.queue + step.action + step.check_again)


def test_the_critical_path_goes_through_the_dependency_that_ended_last() -> None:
    found = profile_of(slow("a"), slow("b", acts=0.5), slow("c", "a", "b", acts=0.05), slow("d", acts=0.1))
    assert found.path == ("b", "c")
    assert {step.id: step.behind for step in found.steps} == {"a": "", "b": "", "d": "", "c": "b"}


def test_the_critical_path_goes_through_the_step_that_had_what_another_waited_for() -> None:
    limit = ResourceLimit("another Leiningen")
    first, second = slow("a/jar", limit=limit, acts=0.6), slow("b/jar", "early", limit=limit)
    found = profile_of(first, slow("early"), second)
    assert found.path == ("a/jar", "b/jar")
    waiting = next(step for step in found.steps if step.id == "b/jar")
    assert (waiting.behind, waiting.holder) == ("early", "a/jar")
    assert waiting.queue > 0.1


def test_the_recorded_deploy_is_explained_from_its_first_step_to_its_last() -> None:
    found = profile(read(DEPLOY), 0.5, 180.0)
    steps = {step.id: step for step in found.steps}
    path = [steps[name] for name in found.path]
    assert path[-1].ended == max(step.ended for step in found.steps)
    for before, after in pairwise(path):
        assert before.ended <= after.began + after.check + after.queue + 0.02, (before, after)
        assert before.id in {after.behind, after.holder}
    gaps = sum(after.began + after.check + after.queue - before.ended for before, after in pairwise(path))
    assert gaps < 5.0  # it leaves little unexplained


def test_every_step_has_a_line_and_those_of_the_critical_path_are_marked() -> None:
    found = profile_of(slow("a", acts=0.05), slow("b", "a", acts=0.05), slow("c"))
    lines = text(found).splitlines()
    assert [bool(re.match(rf"(\*?)  +{name}  +changed ", line)) for name in "abc" for line in lines].count(True) == 3
    assert {line.split()[1] for line in lines if line.startswith("*")} == {"a", "b"}
    assert re.search(r"critical path: a \d\.\d\d → b \d\.\d\d$", lines[-1])


def test_a_run_without_steps_has_a_profile() -> None:
    found = profile([], 0.2, 0.4)
    assert (found.steps, found.path) == ((), ())
    assert "0.40 s  in total" in text(found)
