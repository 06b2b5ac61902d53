"""What the contract of deployers is held against on Docker: a daemon in memory."""

from __future__ import annotations

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Service
from slipway.deployers.docker.deployer import deployments
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import Names
from slipway.engine.steps import Probe
from tests.contracts.deployer import Subject, desired_release

NAMES = Names("hh", "hh")


def on_docker(daemon: FakeDaemon, service: Service) -> Subject:
    image = daemon.images.import_rootfs(b"root", "hh/web:1", [])
    checks = FakeCheckRunner()
    made = deployments(daemon, NAMES, Probe(lambda: daemon.state("hh")), checks)
    return Subject(made, desired_release(made, service, image), checks)
