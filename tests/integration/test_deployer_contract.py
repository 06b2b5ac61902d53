"""The contract of deployers, on this machine's Docker."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Health, Service
from slipway.deployers.docker.deployer import deployments
from slipway.docker.daemon import DockerDaemon
from slipway.docker.labels import Names
from slipway.engine.steps import Probe
from slipway.hosts.local import LocalHost
from tests.contracts.deployer import CHECK, DeployerContract, Subject, desired_release
from tests.integration.project import Project, free_port
from tests.integration.test_docker_contract import sleeper


class TestDocker(DeployerContract):
    @pytest.fixture
    def made(self) -> Iterator[Subject]:
        """A project of its own, whose service is a program that keeps running; Docker listens for it."""
        name = f"t{secrets.token_hex(4)}"
        with ExitStack() as closing:
            daemon = DockerDaemon(LocalHost(), closing)
            image = sleeper(daemon, name)
            checks = FakeCheckRunner()
            made = deployments(daemon, Names(name, name), Probe(lambda: daemon.state(name)), checks)
            service = Service(
                name="web", port=80, publish=free_port(), health=Health(exec=("/bin/sleep", "0")), checks=(CHECK,)
            )
            yield Subject(made, desired_release(made, service, image), checks)
        leftover = Project.__new__(Project)
        leftover.name = name
        leftover.purge()
