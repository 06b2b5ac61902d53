"""The contract of targets: the one in memory, and `local`'s over a Docker in memory, whose port really listens.

Behind it, what `local` does with a swap that goes wrong.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from slipway.config.models import Service
from slipway.deployers.deployer import Target, Verdict, Wanted
from slipway.deployers.docker.container import Names
from slipway.deployers.docker.deployer import DockerTarget
from slipway.deployers.fake import FakeTarget
from slipway.docker.fake import FakeDaemon
from slipway.docker.protocols import LABEL, Container, Spec, State
from slipway.engine.events import Event, Output
from slipway.engine.run import Run
from slipway.engine.steps import Cancel, Change, Probe, Reporter, function_step
from slipway.errors import Cancelled, ConnectionLost, Problem
from tasks.exit_codes import ExitCode, of_run
from tests.contracts.target import FAILING, PASSING, TargetContract, apply

NAMES = Names("hh", "hh")
HERE, PREVIOUS = NAMES.container("web"), NAMES.previous("web")


@pytest.fixture
def service() -> Iterator[Service]:
    """A service whose port listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Service(name="web", port=80, publish=listening.getsockname()[1])


class TestTargets(TargetContract):
    @pytest.fixture(params=["fake", "docker"])
    def made(self, request: pytest.FixtureRequest, service: Service) -> tuple[Target, Wanted]:
        """A target, and what a deploy to it wants."""
        if request.param == "fake":
            return FakeTarget(), Wanted(service, "sha256:1", "src1", {}, "ann", "abc")
        return local(FakeDaemon(), service)


def local(daemon: FakeDaemon, service: Service) -> tuple[DockerTarget, Wanted]:
    image = daemon.load_root(b"root", "hh/web:1", [])
    target = DockerTarget(daemon, NAMES, Probe(lambda: daemon.state("hh")), lambda *_: pytest.fail("nobody asks"))
    return target, Wanted(service, image, "src1", {}, "ann", "abc")


class Breaking(FakeDaemon):
    """A daemon that fails at the deeds in `broken`, from the moment that it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: dict[str, Problem] = {}
        self.graces: list[int] = []  # seconds that stopped containers got
        self.foreign: Spec | None = None  # somebody makes it just before the next container is made

    def _ask(self, deed: str) -> None:
        if problem := self.broken.get(deed) or self.broken.get("all"):
            raise problem

    def create(self, spec: Spec) -> str:
        if self.foreign:
            super().create(self.foreign)
        self._ask("create")
        return super().create(spec)

    def start(self, container: str) -> None:
        self._ask("start")
        super().start(container)

    def stop(self, container: str, grace: int) -> None:
        self._ask("stop")
        self.graces.append(grace)
        super().stop(container, grace)
        if "after stop" in self.broken:
            self.broken["all"] = self.broken["after stop"]

    def rename(self, container: str, name: str) -> None:
        self._ask(f"rename to {name}")
        self._ask("rename")
        super().rename(container, name)

    def state(self, project: str) -> State:
        self._ask("state")
        return super().state(project)

    def find(self, container: str) -> Container | None:
        self._ask("find")
        return super().find(container)


@pytest.fixture
def broken(service: Service) -> tuple[Breaking, DockerTarget, Wanted]:
    """A daemon to break, a target on it that serves release 1, and a second release that is wanted."""
    daemon = Breaking()
    target, wanted = local(daemon, service)
    apply(target, wanted)
    newer = service.model_copy(update={"env": {"NEWER": "1"}})
    return daemon, target, replace(wanted, service=newer)


def only_newer_fails(service: Service, *_: object) -> Verdict:
    return FAILING if service.env else PASSING


def failed(target: DockerTarget, wanted: Wanted, report: Reporter | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        target.apply(wanted, only_newer_fails, report or Reporter("", lambda _: None, Cancel()))
    target.probe.forget()
    return caught.value


def there(daemon: FakeDaemon) -> dict[str, str]:
    """What containers there are: their states by name."""
    return {container.name: container.state for container in daemon.containers.values()}


def test_a_release_that_fails_after_a_killed_deploy_leaves_the_earlier_one_running(
    broken: tuple[Breaking, DockerTarget, Wanted],
) -> None:
    daemon, target, newer = broken
    (earlier,) = daemon.containers
    daemon.rename(earlier, PREVIOUS)
    daemon.stop(earlier, 1)  # here the deploy was killed
    problem = failed(target, newer)
    assert there(daemon) == {HERE: "running"}
    assert list(daemon.containers) == [earlier]
    assert "release 1 of web serves again" in problem.hint


def test_an_earlier_release_that_fails_its_checks_too_is_not_said_to_serve(
    broken: tuple[Breaking, DockerTarget, Wanted],
) -> None:
    daemon, target, newer = broken
    with pytest.raises(Problem) as caught:
        apply(target, newer, FAILING)
    assert there(daemon) == {HERE: "running"}
    assert "release 1 was put back, and could not be proven: web: live checks failed: it greets" in caught.value.hint
    assert "serves again" not in caught.value.hint


def test_an_earlier_release_is_proven_by_its_own_settings(broken: tuple[Breaking, DockerTarget, Wanted]) -> None:
    _, target, newer = broken
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        moved = newer.service.model_copy(update={"publish": unused.getsockname()[1]})
        assert "serves again" in failed(target, replace(newer, service=moved, image="sha256:none")).hint


@pytest.mark.parametrize("name", [HERE, PREVIOUS])
@pytest.mark.parametrize(("labels", "whose"), [({}, "made by hand"), ({LABEL: "other"}, "of project other")])
def test_somebody_elses_container_under_the_name_is_refused_and_left_alone(
    service: Service, name: str, labels: Mapping[str, str], whose: str
) -> None:
    daemon = FakeDaemon()
    target, wanted = local(daemon, service)
    daemon.start(daemon.create(Spec(name, wanted.image, labels)))
    problem = failed(target, wanted)
    assert (name in problem.summary, whose in problem.summary) == (True, True)
    assert f"docker rename {name} " in problem.hint
    assert there(daemon) == {name: "running"}
    assert daemon.networks == {}


def test_a_container_that_somebody_makes_meanwhile_is_left_alone(broken: tuple[Breaking, DockerTarget, Wanted]) -> None:
    daemon, target, newer = broken
    daemon.foreign = Spec(HERE, newer.image)
    problem = failed(target, newer)
    assert daemon.inspect(HERE).labels == {}
    assert problem.summary == f"container {HERE} could not be made"
    assert "the way back failed" in problem.hint


def test_an_earlier_container_that_can_not_be_stopped_goes_on_serving(
    broken: tuple[Breaking, DockerTarget, Wanted],
) -> None:
    daemon, target, newer = broken
    daemon.broken["stop"] = Problem("it could not be stopped")
    problem = failed(target, newer)
    assert (problem.summary, there(daemon)) == ("it could not be stopped", {HERE: "running"})
    assert "serves again" in problem.hint


def test_a_container_gets_the_time_that_a_service_takes_to_drain(broken: tuple[Breaking, DockerTarget, Wanted]) -> None:
    daemon, target, newer = broken
    apply(target, newer)
    target.restart(newer.service, Reporter("", lambda _: None, Cancel()))
    target.down(["web"], Reporter("", lambda _: None, Cancel()))
    assert len(daemon.graces) == 3
    assert min(daemon.graces) > 18


def test_a_way_back_that_fails_hides_neither_the_failure_nor_its_evidence(
    broken: tuple[Breaking, DockerTarget, Wanted],
) -> None:
    daemon, target, newer = broken
    daemon.broken[f"rename to {HERE}"] = Problem("it could not be renamed")
    problem = failed(target, newer)
    assert problem.summary == "web: live checks failed: it greets"
    assert "it was silent" in problem.details
    assert f"{HERE} said so" in problem.details
    assert "the way back failed: it could not be renamed" in problem.hint
    assert "./invoke deploy --service web" in problem.hint


def test_an_interrupted_swap_says_that_its_way_back_failed(broken: tuple[Breaking, DockerTarget, Wanted]) -> None:
    daemon, target, newer = broken
    events: list[Event] = []
    daemon.broken[f"rename to {HERE}"] = Problem("it could not be renamed")

    def interrupted(*_: object) -> Verdict:
        raise Cancelled

    with pytest.raises(Cancelled):
        target.apply(newer, interrupted, Reporter("", events.append, Cancel()))
    assert any("the way back failed" in event.text for event in events if isinstance(event, Output))


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_docker_that_goes_away_in_a_swap_is_no_failure_without_changes(
    broken: tuple[Breaking, DockerTarget, Wanted], monkeypatch: pytest.MonkeyPatch, *, comes_back: bool
) -> None:
    daemon, target, newer = broken
    daemon.broken["after stop"] = ConnectionLost("Docker does not answer")
    waited = []

    def wait(*_: object) -> None:
        waited.append(1)
        if comes_back:
            daemon.broken.clear()

    monkeypatch.setattr(Cancel, "wait", wait)

    def differs(state: object) -> Change | None:
        reason = target.differs(state, newer)  # type: ignore[arg-type]
        return Change(reason) if reason else None

    step = function_step(
        "web/release",
        "web: release",
        target.probe,
        differs,
        lambda report: target.apply(newer, lambda *_: PASSING, report),
    )
    result = Run([step], lambda _: None, Cancel()).go()
    if comes_back:
        assert (of_run(result), there(daemon)) == (ExitCode.DONE, {HERE: "running"})
        return
    assert of_run(result) is ExitCode.FAILED
    assert there(daemon) == {PREVIOUS: "exited"}
    assert "the way back failed" in result.failures["web/release"].hint
