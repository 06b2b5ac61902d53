"""Smoke tests, driven with a Docker in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.docker.labels import SERVICE
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Status
from slipway.engine.plan import RunResult
from slipway.engine.run import Run
from slipway.errors import ConnectionLost, Problem
from slipway.flows.build import image
from slipway.flows.selection import select
from slipway.flows.smoke import generate_secrets, smoke
from tests.unit.flows.test_deploy import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(world: World, names: list[str], *, keep: bool = False) -> RunResult:
    work = world.workspace()
    selection = select(work.services, names)
    with work.closing:
        images = image(work, selection.tested)
        nodes = [generate_secrets(work, selection.tested), *images, *smoke(work, selection, keep=keep)]
        return Run(nodes, world.events.append, Cancel()).go()


def test_a_service_is_tested_with_those_that_it_needs_and_nothing_is_left(world: World) -> None:
    result = run(world, ["auth"])
    assert (result.failures, result.statuses["auth/smoke"]) == ({}, Status.CHANGED)
    (addresses,) = world.smoke.asked
    assert set(addresses) == {"BASE", "DB_URL"}
    assert (world.daemon.store.containers, world.daemon.store.networks) == ({}, {})


def test_a_kept_test_leaves_its_containers_until_the_next(world: World) -> None:
    run(world, ["auth"], keep=True)
    assert len(world.daemon.store.containers) == 2
    assert all(container.running for container in world.daemon.store.containers.values())


def test_a_test_that_is_asked_for_runs_though_it_passed_before(world: World) -> None:
    for _ in range(2):
        assert run(world, ["auth"]).statuses["auth/smoke"] is Status.CHANGED
    assert len(world.smoke.asked) == 2


def test_a_test_that_passed_is_not_repeated_by_a_deploy(world: World) -> None:
    run(world, ["db", "auth", "order"])
    asked = len(world.smoke.asked)
    statuses = world.deploy().statuses
    assert {name: str(status) for name, status in statuses.items() if name.endswith("/smoke")} == {
        "db/smoke": "unchanged", "auth/smoke": "unchanged", "order/smoke": "unchanged", "mail/smoke": "changed",
    }  # fmt: skip
    assert len(world.smoke.asked) == asked + 1


def test_a_failed_test_shows_its_checks_and_the_last_lines_of_all_that_ran(world: World) -> None:
    world.smoke.faults = {"auth answers": "it was silent"}
    problem = run(world, ["auth"]).failures["auth/smoke"]
    assert problem.summary == "auth: smoke checks failed: auth answers"
    assert "it was silent" in problem.details
    assert problem.details.count("its last lines") == 2
    assert world.daemon.store.containers == {}


def fail_once(world: World, operation: str, problem: Problem, *, checked: bool = False) -> None:
    """Let the daemon fail the next time that it is asked for an operation; with `checked` after the checks have run."""
    failures = [problem]

    def fail(asked: str) -> None:
        if asked.startswith(operation) and failures and (world.smoke.asked or not checked):
            raise failures.pop()

    world.daemon.store.hooks.append(fail)


@pytest.mark.parametrize("operation", ["networks.create", "containers.create", "containers.start", "io.execute"])
def test_a_test_is_repeated_when_docker_goes_away_for_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(Cancel, "wait", lambda *_: None)
    fail_once(world, operation, ConnectionLost("Docker does not answer"))
    result = run(world, ["auth"])
    assert (result.failures, result.statuses["auth/smoke"]) == ({}, Status.CHANGED)
    assert (world.daemon.store.containers, world.daemon.store.networks) == ({}, {})


def test_a_test_that_docker_goes_away_from_has_changed_something(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cancel, "wait", lambda *_: None)

    def go_away(operation: str) -> None:
        if operation.startswith("io.execute"):
            raise ConnectionLost("Docker does not answer")

    world.daemon.store.hooks.append(go_away)
    problem = run(world, ["auth"]).failures["auth/smoke"]
    assert isinstance(problem, ConnectionLost)
    assert problem.changed


@pytest.mark.parametrize("operation", ["io.logs", "containers.remove"])
def test_neither_evidence_nor_cleaning_up_hides_the_failure(world: World, operation: str) -> None:
    world.smoke.faults = {"auth answers": "it was silent"}
    fail_once(world, operation, Problem("Docker has other worries"), checked=True)
    problem = run(world, ["auth"]).failures["auth/smoke"]
    assert problem.summary == "auth: smoke checks failed: auth answers"
    assert (world.daemon.store.containers, world.daemon.store.networks) == ({}, {})


def test_a_need_that_exits_during_a_test_is_not_started_again_for_the_next(world: World) -> None:
    exited: list[str] = []

    def exit_once(_: str) -> None:
        found = next((one for one in world.daemon.store.containers.values() if one.labels[SERVICE] == "db"), None)
        if world.smoke.asked and found and not exited:
            exited.append(found.id)
            world.daemon.store.containers[found.id] = replace(found, state="exited", exit_code=1)

    world.daemon.store.hooks.append(exit_once)
    result = run(world, ["auth", "order"])
    assert {name: str(result.statuses[f"{name}/smoke"]) for name in ("auth", "order")} == {
        "auth": "changed", "order": "failed",
    }  # fmt: skip
    assert result.failures["order/smoke"].summary.startswith("db: it exited with code 1")


def test_a_kept_test_that_fails_says_what_it_leaves(world: World) -> None:
    world.smoke.faults = {"auth answers": "it was silent"}
    problem = run(world, ["auth"], keep=True).failures["auth/smoke"]
    left = [container.name for container in world.daemon.store.containers.values()]
    assert len(left) == 2
    assert "docker rm -f " in problem.hint
    assert all(name in problem.hint for name in left)
