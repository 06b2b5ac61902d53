"""What machines need, driven with hosts in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.config.models import Service
from slipway.docker.fake import FakeDaemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Status
from slipway.engine.plan import compute_plan
from slipway.engine.run import Run
from slipway.engine.steps import Probe
from slipway.errors import UsageError
from slipway.flows.setup import build_machine, ssh_host
from slipway.hosts.facts import Facts, Jdk
from slipway.hosts.fake import FakeHost
from tests.unit.flows import workspaces
from tests.unit.flows.workspaces import project

BARE = Facts("Linux", "x86_64", system="debian", version="12", user="ann", sudo="password", disk=2**34)
READY = replace(
    BARE,
    uid=0,
    systemd=True,
    dockerd="/usr/sbin/dockerd",
    docker="28.2.2",
    engine="Docker version 28.2.2, build e6534b4",
    socket=True,
    socket_writable=True,
    daemon=True,
    docker_enabled=True,
    has=("curl", "apt-get"),
    jdks=(Jdk("17.0.15", "/opt/jdk"),),
    lein="2.10",
    maven_repo=True,
)


@pytest.mark.parametrize(("leiningen", "names"), [
    (True, ["curl", "docker/group", "docker/engine", "jdk", "leiningen", "repository"]),
    (False, ["curl", "docker/group", "docker/engine"]),
])  # fmt: skip
def test_a_machine_that_builds_gets_what_its_services_need(
    tmp_path: Path, names: list[str], *, leiningen: bool
) -> None:
    service = Service(name="web", build="lein" if leiningen else "none")
    machine = workspaces.build_machine()
    nodes = list(build_machine(project(tmp_path, [service]), machine, None, bases=True))
    assert [node.name for node in nodes] == names
    assert {node.group for node in nodes} == {machine.host.name}


def test_a_bare_machine_lacks_all_of_it_and_a_prepared_one_nothing(tmp_path: Path) -> None:
    config = project(tmp_path, [Service(name="web", build="lein")])
    for facts, lacks in ((BARE, True), (READY, False)):
        machine = replace(workspaces.build_machine(), host=FakeHost("here", facts), clojars=Probe(lambda: True))
        result = compute_plan(build_machine(config, machine, None, bases=True))
        assert result.failures == {}
        assert bool(result.reasons) is lacks
        assert not lacks or {"here/curl", "here/docker/engine", "here/jdk", "here/leiningen"} <= result.reasons.keys()


def test_a_host_that_can_not_be_prepared_stops_its_own_steps_only(tmp_path: Path) -> None:
    config = project(tmp_path, [])
    hosts = [FakeHost("full", replace(READY, disk=0)), FakeHost("well", READY)]
    steps = [step for host in hosts for step in ssh_host(config, host, FakeDaemon(), None, lambda: iter(()))]
    result = Run(steps, lambda _: None, Cancel()).go()
    assert list(result.failures) == ["full/host"]
    assert isinstance(result.failures["full/host"], UsageError)
    ends = {name: status for name, status in result.statuses.items() if name != "full/host"}
    assert {status for name, status in ends.items() if name.startswith("full/")} == {Status.SKIPPED}
    assert {status for name, status in ends.items() if name.startswith("well/")} == {Status.UNCHANGED}
