"""Releases behind a proxy: who serves meanwhile, what a failed or killed one leaves, and when the earlier one ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from slipway.config.models import Service, Storage
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.deployer import LEFT_OVER
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import RELEASE
from slipway.engine.events import Event, Output
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem
from tests.contracts.deployer import FAILING, Subject
from tests.unit.deployers.docker.fake_haproxy import SHOW, ProxiedDaemon
from tests.unit.deployers.docker_subject import NAMES, Answering, behind_a_proxy, on_docker

HERE, NEXT, PREVIOUS, PROXY = (getattr(NAMES, which)("web") for which in ("container", "next", "previous", "proxy"))


@dataclass
class Proxied:
    """A daemon on which release 1 of `web` runs behind a proxy, and a second release that is desired."""

    daemon: ProxiedDaemon
    subject: Subject
    answering: str

    @property
    def newer(self) -> DesiredRelease[str]:
        return replace(self.subject.desired, source="src2")

    @property
    def states(self) -> dict[str, str]:
        """The states of all containers, by name."""
        return {container.name: container.state for container in self.daemon.store.containers.values()}

    @property
    def serving(self) -> str | None:
        """The number of the release that the proxy's requests go to."""
        found = self.daemon.store.find(HERE)
        return found.labels[RELEASE] if found and found.running else None

    def noted(self, desired: DesiredRelease[str]) -> list[str]:
        """Deploy; what it says."""
        said: list[Event] = []
        self.subject.deployments.deployer.apply(desired, replace(null_reporter(), emit=said.append))
        self.subject.deployments.state.forget()
        return [event.text for event in said if isinstance(event, Output)]


@pytest.fixture
def proxied(service: Service, answering: str, monkeypatch: pytest.MonkeyPatch) -> Proxied:
    monkeypatch.setattr("slipway.deployers.docker.proxy.FOLLOWS_WITHIN", 0.3)
    daemon = ProxiedDaemon()
    subject = behind_a_proxy(daemon, service, answering)
    subject.apply()
    return Proxied(daemon, subject, answering)


def test_the_proxy_has_the_services_port_and_name_and_the_container_a_free_port(
    proxied: Proxied, service: Service
) -> None:
    proxy, container = proxied.daemon.containers.inspect(PROXY), proxied.daemon.containers.inspect(HERE)
    assert (proxy.ports, proxy.aliases) == ({80: ("127.0.0.1", service.published)}, {"hh": ("web",)})
    address, port = container.ports[80]
    assert (address, port != service.published, container.aliases) == ("127.0.0.1", True, {"hh": ()})
    assert (proxy.read_only, proxy.restart, proxy.memory) == (True, "unless-stopped", 128 * 2**20)
    (status,) = proxied.subject.deployments.status.services()
    assert status.ports == (f"127.0.0.1:{service.published}->80",)
    with proxied.subject.deployments.operations.forward("web", None) as url:
        assert url == proxied.answering


def test_the_earlier_container_goes_on_until_the_new_one_has_taken_over_and_its_requests_are_answered(
    proxied: Proxied,
) -> None:
    (slots,) = proxied.daemon.haproxy.slots.values()
    active = next(name for name, state in slots.state.items() if state == "no check")
    slots.requests[active] = 3
    before = len(proxied.daemon.operations)
    assert "took over without a gap" in proxied.noted(proxied.newer)
    assert (proxied.states, proxied.serving) == ({HERE: "running", PROXY: "running"}, "2")
    done = proxied.daemon.operations[before:]
    stop = next(n for n, operation in enumerate(done) if operation.startswith("containers.stop"))
    turned = next(n for n, operation in enumerate(done) if operation.endswith("state drain"))
    assert done[turned:stop].count(f"io.execute {SHOW}") == 4  # three requests, one by one
    assert [done.index(f"containers.rename {name}") < turned for name in (PREVIOUS, HERE)] == [True, True]
    assert [operation for operation in done if operation.startswith("containers.stop")] == ["containers.stop 20"]


def test_what_is_not_answered_in_time_is_said(proxied: Proxied) -> None:
    (slots,) = proxied.daemon.haproxy.slots.values()
    slots.requests |= {"a": 1000, "b": 1000}
    settings = proxied.newer.service.model_copy(update={"drain_within": "1s"})
    notes = proxied.noted(replace(proxied.newer, service=settings))
    assert any("requests were not answered within 1 s" in note for note in notes)
    assert proxied.states == {HERE: "running", PROXY: "running"}


def test_a_release_that_fails_touches_nothing_of_the_one_that_serves(proxied: Proxied) -> None:
    before, done = proxied.daemon.containers.inspect(HERE), len(proxied.daemon.operations)
    with pytest.raises(Problem, match="live checks failed") as caught:
        proxied.subject.apply(proxied.newer, FAILING)
    assert not [operation for operation in proxied.daemon.operations[done:] if "rename" in operation]
    assert "release 1 of web runs on, as before" in caught.value.hint
    assert proxied.daemon.containers.inspect(HERE) == before
    assert proxied.states == {HERE: "running", PROXY: "running"}


def test_a_proxy_that_does_not_follow_leaves_the_earlier_release_its_name(proxied: Proxied) -> None:
    proxied.daemon.haproxy.stuck = True
    with pytest.raises(Problem, match="does not find the new container"):
        proxied.subject.apply(proxied.newer)
    assert (proxied.states, proxied.serving) == ({HERE: "running", PROXY: "running"}, "1")


def test_killed_at_any_moment_one_release_serves_and_the_next_deploy_leaves_nothing_of_the_other(
    service: Service, answering: str
) -> None:
    killed = 0
    for moment in range(200):
        daemon = ProxiedDaemon()
        proxied = Proxied(daemon, behind_a_proxy(daemon, service, answering), answering)
        proxied.subject.apply()
        daemon.dies_at = len(daemon.operations) + moment
        try:
            proxied.subject.apply(proxied.newer)
        except SystemExit:
            killed += 1
        else:
            break
        states = {name: state for name, state in proxied.states.items() if state == "running"}
        assert {HERE, PREVIOUS} & {*states}, f"killed at {daemon.operations[-1]}"  # between two names: see `TakeOver`
        daemon.dies_at = -1
        proxied.subject.deployments.state.forget()
        if proxied.subject.differs(proxied.newer):
            proxied.subject.apply(proxied.newer)
        assert (proxied.states, proxied.serving is not None) == ({HERE: "running", PROXY: "running"}, True)
        assert proxied.subject.differs(proxied.newer) is None
    assert killed > 20


def test_what_a_deploy_that_was_killed_at_its_end_left_is_cleared_without_another_release(proxied: Proxied) -> None:
    proxied.subject.apply(proxied.newer)
    old = proxied.daemon.containers.inspect(HERE)
    proxied.daemon.containers.rename(old.id, PREVIOUS)
    record = replace(old, id="0" * 64, name=HERE)
    proxied.daemon.store.containers[record.id] = record
    proxied.subject.deployments.state.forget()
    assert proxied.subject.differs(proxied.newer) == LEFT_OVER
    proxied.subject.apply(proxied.newer)
    assert proxied.states == {HERE: "running", PROXY: "running"}
    assert proxied.subject.numbers == [2, 1]


def test_a_proxy_comes_and_goes(service: Service, answering: str) -> None:
    daemon = ProxiedDaemon()
    without = on_docker(daemon, service)
    without.apply()
    proxied = Proxied(daemon, behind_a_proxy(daemon, service, answering), answering)
    assert any(note.startswith("the last gap") for note in proxied.noted(proxied.subject.desired))
    assert proxied.states == {HERE: "running", PROXY: "running"}
    without.apply()
    assert proxied.states == {HERE: "running"}


@pytest.mark.parametrize("goes", [True, False])
def test_where_a_change_of_that_fails_the_earlier_way_is_restored(
    service: Service, answering: str, *, goes: bool
) -> None:
    daemon = ProxiedDaemon()
    without = on_docker(daemon, service, Answering(answering))
    behind = behind_a_proxy(daemon, service, answering)
    earlier, later = (behind, without) if goes else (without, behind)
    earlier.apply()
    before = Proxied(daemon, earlier, answering).states
    if not goes:
        daemon.haproxy.stuck = True
    with pytest.raises(Problem):
        later.apply(faults=FAILING)
    assert Proxied(daemon, earlier, answering).states == before
    earlier.deployments.state.forget()
    assert earlier.differs() is None


def test_a_service_with_storage_or_without_a_path_is_behind_none(proxied: Proxied) -> None:
    stored = proxied.subject.changed(storage={"data": Storage(path="/data")})
    assert proxied.subject.differs(stored) is not None
    notes = proxied.noted(stored)
    assert any("gap" in note for note in notes)
    assert proxied.states == {HERE: "running"}


def test_a_changed_or_stopped_proxy_is_put_right(proxied: Proxied) -> None:
    proxied.daemon.containers.stop(PROXY, 0)
    proxied.subject.deployments.state.forget()
    assert proxied.subject.differs() == "its proxy: it is exited"
    assert list(proxied.subject.deployments.status.warnings()) == [f"web is not ready: its proxy, {PROXY}, is exited"]
    proxied.subject.apply()
    assert proxied.states == {HERE: "running", PROXY: "running"}


@pytest.mark.parametrize("name", [NEXT, PROXY])
def test_somebody_elses_container_is_refused_where_its_name_is_needed_and_left_alone_where_not(
    service: Service, answering: str, name: str
) -> None:
    daemon = ProxiedDaemon()
    behind, without = behind_a_proxy(daemon, service, answering), on_docker(daemon, service, Answering(answering))
    daemon.containers.start(daemon.containers.create(ContainerSpec(name, behind.desired.image)))
    with pytest.raises(Problem, match=f"container {name} already exists, created by hand"):
        behind.apply()
    without.apply()
    without.apply(replace(without.desired, source="src2"))
    assert Proxied(daemon, without, answering).states == {name: "running", HERE: "running"}


def test_a_proxy_that_can_not_be_made_anew_is_told(proxied: Proxied) -> None:
    proxied.daemon.containers.stop(PROXY, 0)

    def refuse(operation: str) -> None:
        if operation == "containers.start" and proxied.daemon.store.find(PROXY) is not None:
            raise Problem("the port is taken")

    proxied.daemon.store.hooks.append(refuse)
    proxied.daemon.containers.remove(PROXY)
    with pytest.raises(Problem) as caught:
        proxied.subject.apply(proxied.newer)
    assert "release 1 of web runs on, but its proxy does not" in caught.value.hint
    assert proxied.states[HERE] == "running"
