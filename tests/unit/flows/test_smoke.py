"""Smoke tests, driven with a Docker in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Status
from slipway.engine.plan import RunResult
from slipway.engine.run import Run
from slipway.flows.build import image
from slipway.flows.selection import select
from slipway.flows.smoke import generate_secrets, smoke
from tests.unit.flows.test_deploy import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(world: World, names: list[str], *, keep: bool = False) -> RunResult:
    work = world.workspace()
    selection = select(work.services, ",".join(names))
    with work.closing:
        images = image(work, selection.tested)
        nodes = [generate_secrets(work, selection.tested), *images, *smoke(work, selection, keep=keep)]
        return Run(nodes, world.events.append, Cancel()).go()


def test_a_service_is_tested_beside_those_that_it_needs_and_nothing_stays(world: World) -> None:
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
