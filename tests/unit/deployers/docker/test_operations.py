"""What is removed with services, and what stays."""

from __future__ import annotations

import threading

import pytest

from slipway.config.models import Service
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import LABEL, OWNER, SERVICE, owner
from slipway.engine.reporter import null_reporter
from tests.unit.deployers.docker_subject import NAMES, on_docker

ENDED = str(2**22 + 1)  # no process has such a number


def test_what_a_killed_run_left_goes_with_the_services_and_that_of_a_living_one_stays(service: Service) -> None:
    daemon = FakeDaemon()
    subject = on_docker(daemon, service)
    for name, process in (("killed", ENDED), ("living", None)):
        labels = {LABEL: NAMES.project, OWNER: owner(process)}
        daemon.containers.create(ContainerSpec(name, subject.desired.image, labels))
    subject.deployments.operations.down(["web"], null_reporter())
    assert [container.name for container in daemon.store.containers.values()] == ["living"]


def test_services_are_stopped_side_by_side(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon, all_stopping = FakeDaemon(), threading.Barrier(3)
    subject = on_docker(daemon, service)
    for name in ("one", "two", "three"):
        labels = {LABEL: NAMES.project, SERVICE: name}
        daemon.containers.start(daemon.containers.create(ContainerSpec(name, subject.desired.image, labels)))
    monkeypatch.setattr(daemon.containers, "stop", lambda *_: all_stopping.wait(10))
    subject.deployments.operations.down(["one", "two", "three"], null_reporter())
    assert not daemon.store.containers
