"""The contract of targets: the one in memory, and `local`'s over a Docker in memory, whose port really listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from slipway.config.models import Service
from slipway.hosts.fake_docker import FakeDaemon
from slipway.steps import Probe
from slipway.targets.container import Names
from slipway.targets.docker import DockerTarget
from slipway.targets.fake import FakeTarget
from slipway.targets.target import Target, Wanted
from tests.contracts.target import TargetContract

NAMES = Names("hh", "hh")


class TestTargets(TargetContract):
    @pytest.fixture(params=["fake", "docker"])
    def made(self, request: pytest.FixtureRequest) -> Iterator[tuple[Target, Wanted]]:
        """A target, and what a deploy to it wants."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            service = Service(name="web", port=80, publish=listening.getsockname()[1])
            if request.param == "fake":
                yield FakeTarget(), Wanted(service, "sha256:1", "src1", {}, "ann", "abc")
                return
            daemon = FakeDaemon()
            image = daemon.load_root(b"root", "hh/web:1", [])
            target = DockerTarget(
                daemon, NAMES, Probe(lambda: daemon.state("hh")), lambda *_: pytest.fail("nobody asks")
            )
            yield target, Wanted(service, image, "src1", {}, "ann", "abc")
