"""Whether what runs on Docker is ready."""

from __future__ import annotations

import socket

from slipway.config.models import Service
from slipway.docker.fake import FakeDaemon
from slipway.engine.reporter import null_reporter
from tests.unit.deployers.docker_subject import on_docker


def test_a_container_that_runs_is_ready_as_long_as_it_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        service = Service(name="web", port=80, publish=listening.getsockname()[1])
        daemon = FakeDaemon()
        subject = on_docker(daemon, service)
        subject.deployments.deployer.apply(subject.desired, null_reporter())
        assert [(one.wanted, one.ready) for one in subject.deployments.status.services()] == [(1, 1)]
        assert list(subject.deployments.status.warnings()) == []
    later = on_docker(daemon, service).deployments.status
    assert [(one.wanted, one.ready, one.containers[0].state) for one in later.services()] == [(1, 0, "running")]
    assert list(later.warnings()) == ["web is not ready: nothing listens on port 80, which the readiness check uses"]
