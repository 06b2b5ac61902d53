"""The contract of targets, on this machine's Docker."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from slipway.config.models import Health, Service
from slipway.deployers.deployer import Target, Wanted
from slipway.deployers.docker.container import Names
from slipway.deployers.docker.deployer import DockerTarget
from slipway.docker.daemon import DockerDaemon
from slipway.engine.steps import Probe
from slipway.hosts.local import LocalHost
from tests.contracts.target import TargetContract
from tests.integration.project import Project, free_port
from tests.integration.test_docker_contract import sleeper


class TestLocal(TargetContract):
    @pytest.fixture
    def made(self) -> Iterator[tuple[Target, Wanted]]:
        """A project of its own, whose service is a program that goes on; Docker listens for it."""
        name = f"t{secrets.token_hex(4)}"
        with ExitStack() as closing:
            daemon = DockerDaemon(LocalHost(), closing)
            image = sleeper(daemon, name)
            target = DockerTarget(daemon, Names(name, name), Probe(lambda: daemon.state(name)), LocalHost().run)
            service = Service(name="web", port=80, publish=free_port(), health=Health(exec=("/bin/sleep", "0")))
            yield target, Wanted(service, image, "src1", {}, "ann", "abc")
        leftover = Project.__new__(Project)
        leftover.name = name
        leftover.purge()
