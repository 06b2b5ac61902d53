"""The contract of deployers: the one in memory, and Docker's over a daemon in memory, whose port really listens."""

from __future__ import annotations

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Service
from slipway.deployers.fake import FakeEnvironment
from slipway.docker.fake import FakeDaemon
from tests.contracts.deployer import DeployerContract, Subject, desired_release
from tests.unit.deployers.docker.fake_haproxy import ProxiedDaemon
from tests.unit.deployers.docker_subject import behind_a_proxy, on_docker


class TestDeployers(DeployerContract):
    @pytest.fixture(params=["fake", "docker", "proxy"])
    def made(self, request: pytest.FixtureRequest, service: Service, answering: str) -> Subject:
        """An environment in memory, a Docker in memory, or one with a proxy."""
        if request.param == "proxy":
            return behind_a_proxy(ProxiedDaemon(), service, answering)
        if request.param == "docker":
            return on_docker(FakeDaemon(), service)
        checks = FakeCheckRunner()
        environment = FakeEnvironment(checks).deployments
        return Subject(environment, desired_release(environment, service, "sha256:1"), checks)
