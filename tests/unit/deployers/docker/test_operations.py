"""What is removed with services, and what stays."""

from __future__ import annotations

from slipway.config.models import Service
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import LABEL, OWNER, owner
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
