"""What a failed, killed or interrupted replacement of a container leaves, and what it reports."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from slipway.config.models import Service
from slipway.deployers.deployer import Deployer, DesiredRelease
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import LABEL
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.run import Run
from slipway.engine.steps import Change, Step
from slipway.errors import Cancelled, ConnectionLost, Problem, deploy_command
from tasks.exit_codes import ExitCode, of_run
from tests.contracts.deployer import CHECK, FAILING, Subject
from tests.unit.deployers.docker_subject import NAMES, on_docker

HERE, PREVIOUS = NAMES.container("web"), NAMES.previous("web")


class Breaking(FakeDaemon):
    """A daemon that fails at the operations in `broken`, from the moment that they are in it."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: dict[str, Problem] = {}
        self.graces: list[int] = []  # seconds that stopped containers got
        self.foreign: ContainerSpec | None = None  # somebody creates it just before the next container is created
        self.store.hooks.append(self._before)

    def _before(self, operation: str) -> None:
        verb, _, word = operation.rpartition(".")[2].partition(" ")
        if verb == "create" and operation.startswith("containers") and self.foreign:
            foreign, self.foreign = self.foreign, None
            self.containers.create(foreign)
        for broken in (f"{verb} to {word}", verb, "all"):
            if problem := self.broken.get(broken):
                raise problem
        if self.graces and "after stop" in self.broken:
            raise self.broken["after stop"]
        if verb == "stop":
            self.graces.append(int(word))


@dataclass
class Broken:
    """A daemon to break, on which release 1 of `web` runs, and a second release that is desired."""

    daemon: Breaking
    subject: Subject
    newer: DesiredRelease[Any]

    def fails(self, desired: DesiredRelease[Any] | None = None, report: Reporter | None = None) -> Problem:
        """Deploy what only its own checks refuse, not those of the release before."""
        return failed(self.subject, desired or self.newer, report)


@pytest.fixture
def broken(service: Service) -> Broken:
    daemon = Breaking()
    subject = on_docker(daemon, service)
    subject.apply()
    newer = CHECK.model_copy(update={"name": "the newer works"})
    return Broken(daemon, subject, subject.changed(checks=(CHECK, newer)))


def failed(subject: Subject, desired: DesiredRelease[Any], report: Reporter | None = None) -> Problem:
    subject.checks.faults = {"the newer works": "it was silent"}
    with pytest.raises(Problem) as caught:
        subject.deployments.deployer.apply(desired, report or null_reporter())
    subject.deployments.state.forget()
    return caught.value


def states(daemon: FakeDaemon) -> dict[str, str]:
    """The states of all containers, by name."""
    return {container.name: container.state for container in daemon.store.containers.values()}


def test_a_release_that_fails_after_a_killed_deploy_leaves_the_earlier_one_running(
    broken: Broken,
) -> None:
    daemon = broken.daemon
    (earlier,) = daemon.store.containers
    daemon.containers.rename(earlier, PREVIOUS)
    daemon.containers.stop(earlier, 1)  # here the deploy was killed
    problem = broken.fails()
    assert states(daemon) == {HERE: "running"}
    assert list(daemon.store.containers) == [earlier]
    assert "release 1 of web is running again" in problem.hint


def test_an_earlier_release_that_fails_its_checks_too_is_not_reported_as_running(
    broken: Broken,
) -> None:
    daemon = broken.daemon
    with pytest.raises(Problem) as caught:
        broken.subject.apply(broken.newer, FAILING)
    assert states(daemon) == {HERE: "running"}
    assert "release 1 was restored, but its checks failed: web: live checks failed: it greets" in caught.value.hint
    assert "is running again" not in caught.value.hint


def test_an_earlier_release_is_checked_by_its_own_settings(broken: Broken) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        moved = broken.newer.service.model_copy(update={"publish": unused.getsockname()[1]})
        assert "is running again" in broken.fails(replace(broken.newer, service=moved, image="sha256:none")).hint


@pytest.mark.parametrize("name", [HERE, PREVIOUS])
@pytest.mark.parametrize(("labels", "whose"), [({}, "created by hand"), ({LABEL: "other"}, "of project other")])
def test_somebody_elses_container_under_the_name_is_refused_and_left_alone(
    service: Service, name: str, labels: Mapping[str, str], whose: str
) -> None:
    daemon = FakeDaemon()
    subject = on_docker(daemon, service)
    daemon.containers.start(daemon.containers.create(ContainerSpec(name, subject.desired.image, labels)))
    problem = failed(subject, subject.desired)
    assert (name in problem.summary, whose in problem.summary) == (True, True)
    assert f"docker rename {name} " in problem.hint
    assert states(daemon) == {name: "running"}
    assert daemon.store.networks == {}


def test_a_container_that_somebody_else_creates_meanwhile_is_left_alone(broken: Broken) -> None:
    daemon = broken.daemon
    daemon.foreign = ContainerSpec(HERE, broken.newer.image)
    problem = broken.fails()
    assert daemon.containers.inspect(HERE).labels == {}
    assert problem.summary == f"container {HERE} could not be created"
    assert "rollback failed" in problem.hint


def test_an_earlier_container_that_can_not_be_stopped_keeps_running(
    broken: Broken,
) -> None:
    daemon = broken.daemon
    daemon.broken["stop"] = Problem("it could not be stopped")
    problem = broken.fails()
    assert (problem.summary, states(daemon)) == ("it could not be stopped", {HERE: "running"})
    assert "is running again" in problem.hint


def test_a_container_gets_the_time_that_a_service_takes_to_drain(broken: Broken) -> None:
    daemon = broken.daemon
    broken.subject.apply(broken.newer)
    operations = broken.subject.deployments.operations
    operations.restart(broken.newer.service, null_reporter())
    operations.down(["web"], null_reporter())
    assert len(daemon.graces) == 3
    assert min(daemon.graces) > 18


def test_a_rollback_that_fails_hides_neither_the_failure_nor_its_evidence(
    broken: Broken,
) -> None:
    daemon = broken.daemon
    daemon.broken[f"rename to {HERE}"] = Problem("it could not be renamed")
    problem = broken.fails()
    assert problem.summary == "web: live checks failed: the newer works"
    assert "it was silent" in problem.details
    assert f"{HERE} said so" in problem.details
    assert "rollback failed: it could not be renamed" in problem.hint
    assert problem.commands == (deploy_command("web"),)


def test_an_interrupted_replacement_says_that_its_rollback_failed(broken: Broken) -> None:
    daemon = broken.daemon
    events: list[Event] = []
    daemon.broken[f"rename to {HERE}"] = Problem("it could not be renamed")

    broken.subject.checks.interrupts = Cancelled()
    with pytest.raises(Cancelled):
        broken.subject.deployments.deployer.apply(broken.newer, Reporter("", events.append, Cancel()))
    notes = [event.text for event in events if isinstance(event, Output)]
    assert any(n.startswith("rollback failed") and n.endswith("the next deploy completes it") for n in notes), notes


def test_a_docker_that_goes_away_while_the_earlier_release_is_checked_is_asked_again(broken: Broken) -> None:
    def go_away(operation: str) -> None:
        if operation == "containers.start" and any(c.name == PREVIOUS for c in broken.daemon.store.containers.values()):
            return
        if operation == "containers.start":
            broken.daemon.broken["inspect"] = ConnectionLost("Docker does not answer")

    broken.daemon.store.hooks.append(go_away)
    problem = broken.fails()
    assert isinstance(problem, ConnectionLost)
    assert "rollback failed: Docker does not answer" in problem.hint


@dataclass(frozen=True, kw_only=True)
class Release(Step[Any]):
    """A release as a step of a run."""

    deployer: Deployer[Any, Any]
    desired: DesiredRelease[Any]

    def check(self, facts: Any) -> Change | None:
        reason = self.deployer.differs(facts, self.desired)
        return Change(reason) if reason else None

    def apply(self, report: Reporter) -> None:
        self.deployer.apply(self.desired, report)


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_docker_that_goes_away_during_a_replacement_is_no_failure_without_changes(
    broken: Broken, monkeypatch: pytest.MonkeyPatch, *, comes_back: bool
) -> None:
    daemon = broken.daemon
    daemon.broken["after stop"] = ConnectionLost("Docker does not answer")
    waited = []

    def wait(*_: object) -> None:
        waited.append(1)
        if comes_back:
            daemon.broken.clear()

    monkeypatch.setattr(Cancel, "wait", wait)

    broken.subject.checks.faults = {}
    step = Release(
        group="web",
        name="release",
        title="web: release",
        probe=broken.subject.deployments.state,
        deployer=broken.subject.deployments.deployer,
        desired=broken.newer,
    )
    result = Run([step], lambda _: None, Cancel()).go()
    if comes_back:
        assert (of_run(result), states(daemon)) == (ExitCode.DONE, {HERE: "running"})
        return
    assert of_run(result) is ExitCode.FAILED
    assert states(daemon) == {PREVIOUS: "exited", HERE: "created"}
    assert "rollback failed" in result.failures["web/release"].hint
