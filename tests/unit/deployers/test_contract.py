"""The contract of deployers: the one in memory, and Docker's over a daemon in memory, whose port really listens."""

from __future__ import annotations

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Service
from slipway.deployers.fake import FakeEnvironment
from slipway.docker.fake import FakeDaemon
from tests.contracts.deployer import DeployerContract, Subject, desired_release
from tests.unit.deployers.docker_subject import on_docker


class TestDeployers(DeployerContract):
    @pytest.fixture(params=["fake", "docker"])
    def made(self, request: pytest.FixtureRequest, service: Service) -> Subject:
        """An environment in memory, or a Docker in memory."""
        if request.param == "docker":
            return on_docker(FakeDaemon(), service)
        checks = FakeCheckRunner()
        environment = FakeEnvironment(checks).deployments
        return Subject(environment, desired_release(environment, service, "sha256:1"), checks)
