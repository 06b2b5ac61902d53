"""The story of a deploy, driven with fakes: a Docker and an environment in memory, checks whose answers are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Check, Health, Service
from slipway.deployers.fake import FakeEnvironment
from slipway.docker.fake import FakeDaemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Status
from slipway.engine.plan import RunResult, compute_plan, differs
from slipway.engine.run import Run
from slipway.errors import Problem, deploy_command
from slipway.flows.deploy import deploy, running_needs
from slipway.flows.selection import select
from slipway.flows.workspace import Workspace
from tests.integration.project import free_port
from tests.unit.flows.workspaces import build_machine, project, workspace

NEEDS: dict[str, tuple[str, ...]] = {"order": ("auth",), "auth": ("db",), "db": (), "mail": ()}
NAMES = ["db", "auth", "order", "mail"]
HEALTH = Health(exec=("true",))


class World:
    """A project whose services are images that a Docker in memory can pull; each deploy is a workspace of its own."""

    def __init__(self, folder: Path, *, reuses: bool = False) -> None:
        self.folder = folder
        self.daemon = FakeDaemon({f"r/{name}:1": f"sha256:{name}" for name in NEEDS})
        self.smoke, self.live = FakeCheckRunner(), FakeCheckRunner()
        self.environment = FakeEnvironment(self.live, reuses=reuses)
        self.settings: dict[str, dict[str, object]] = {name: {} for name in NEEDS}
        self.events: list[Event] = []
        self.ports = {name: free_port() for name in NEEDS}

    def workspace(self) -> Workspace:
        services = [
            Service.model_validate(
                {
                    "name": name,
                    "image": f"r/{name}:1",
                    "publish": self.ports[name],
                    "needs": needs,
                    "health": HEALTH,
                    "checks": [
                        Check.model_validate({"name": f"{name} answers", "curl": 'curl "$BASE/"', "expect": {}})
                    ],
                    **self.settings[name],
                }
            )
            for name, needs in NEEDS.items()
        ]
        config = project(self.folder, services)
        return workspace(config, build_machine(self.daemon, self.smoke), self.environment.deployments)

    def plan(self, names: list[str] = NAMES) -> RunResult:
        work = self.workspace()
        return compute_plan(deploy(work, select(work.services, names)))

    def deploy(self, names: list[str] = NAMES) -> RunResult:
        self.environment.actions.clear()
        work = self.workspace()
        with work.closing:
            return Run(deploy(work, select(work.services, names)), self.events.append, Cancel()).go()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def changed(result: RunResult) -> set[str]:
    return {name for name, status in result.statuses.items() if status is Status.CHANGED}


def test_each_service_is_released_behind_those_that_it_needs(world: World) -> None:
    assert world.deploy().failures == {}
    done = [action.removeprefix("deploy ") for action in world.environment.actions]
    assert sorted(done) == sorted(NAMES)
    assert done.index("db") < done.index("auth") < done.index("order")


def test_a_second_deploy_changes_nothing(world: World) -> None:
    world.deploy()
    result = world.deploy()
    assert set(result.statuses.values()) == {Status.UNCHANGED}
    assert world.environment.actions == []


def test_a_changed_setting_tests_and_releases_its_service_alone(world: World) -> None:
    world.deploy()
    world.settings["mail"] = {"env": {"LEVEL": "debug"}}
    assert changed(world.deploy()) == {"mail/smoke", "mail/release"}
    assert world.environment.actions == ["deploy mail"]


def test_a_plan_names_what_the_run_then_changes(world: World) -> None:
    for settings in ({}, {"env": {"LEVEL": "debug"}}):
        world.settings["auth"] = {**settings}
        planned = world.plan().reasons
        certain = {name for name, reason in planned.items() if not reason.startswith("follows from")}
        assert certain
        assert certain <= changed(world.deploy()) <= planned.keys()
    assert world.plan().reasons == {}


def test_a_plan_changes_nothing(world: World) -> None:
    world.plan()
    assert (world.daemon.store.containers, world.daemon.store.images, world.environment.state.kept) == ({}, {}, ())


def test_a_failed_smoke_test_stops_its_own_release_and_its_dependents_only(world: World) -> None:
    world.smoke.faults = {"auth answers": "it was silent"}
    result = world.deploy()
    assert list(result.failures) == ["auth/smoke"]
    assert "it was silent" in result.failures["auth/smoke"].details
    released = {name for name, status in result.statuses.items() if name.endswith("/release") and status.ended}
    assert {name for name in released if result.statuses[name] is Status.CHANGED} == {"db/release", "mail/release"}
    skipped = {name for name, status in result.statuses.items() if status is Status.SKIPPED}
    assert skipped == {"auth/release", "order/smoke", "order/release"}
    assert not [name for name in (c.name for c in world.daemon.store.containers.values()) if "smoke" in name]


def test_an_image_that_can_not_be_had_stops_what_needs_it_only(world: World) -> None:
    del world.daemon.store.offered["r/db:1"]
    result = world.deploy()
    assert list(result.failures) == ["db/image"]
    assert changed(result) >= {"mail/smoke", "mail/release"}
    assert world.environment.actions == ["deploy mail"]


def test_a_failed_live_check_rolls_back_and_stops_dependents_only(world: World) -> None:
    world.deploy()
    world.settings["auth"] = {"env": {"LEVEL": "debug"}}
    world.live.faults = {"auth answers": "it was silent"}
    result = world.deploy()
    assert list(result.failures) == ["auth/release"]
    assert world.environment.actions == ["deploy auth", "restore auth"]
    running = world.environment.running("auth")
    assert running is not None
    assert (running.number, dict(running.settings.env)) == (1, {})


def test_docker_is_not_asked_about_what_is_released_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, reuses=True)
    world.deploy()
    monkeypatch.setattr(world.daemon, "state", lambda _: pytest.fail("Docker was asked"))
    work = world.workspace()
    nodes = [node for node in deploy(work, select(work.services)) if node.name in {"image", "smoke", "release"}]
    assert len(nodes) == 3 * len(NAMES)
    assert [differs(node, node.probe.facts()) for node in nodes if node.name != "release"] == [None] * 2 * len(NAMES)


def test_a_need_that_is_not_deployed_is_named_with_who_needs_it(tmp_path: Path) -> None:
    work = workspace(project(tmp_path, [Service(name=name, needs=NEEDS[name]) for name in NEEDS]))
    precondition = running_needs(work, select(work.services, ["order", "mail"]), ())
    with pytest.raises(Problem) as caught:
        precondition.verify(precondition.probe.facts())
    assert caught.value.summary == "order needs db and auth, which are not deployed in local"
    assert caught.value.commands == (deploy_command("db", "auth"),)
