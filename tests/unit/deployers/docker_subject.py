"""What the contract of deployers is held against on Docker: a daemon in memory."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Health, Service
from slipway.deployers.docker.deployer import deployments
from slipway.deployers.docker.edge import Edge
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import Names
from slipway.docker.reach import Reach
from slipway.engine.steps import Probe
from slipway.hosts.host import Stream
from tests.contracts.deployer import Subject, desired_release
from tests.unit.deployers.docker.fake_haproxy import ProxiedDaemon

NAMES = Names("hh", "hh")
PROXY = "slipway/base-proxy:1"


@dataclass(frozen=True)
class Answering:
    """A `Reach` of which every port is one that answers."""

    address: str

    def url(self, port: int) -> str:  # noqa: ARG002
        return self.address

    def connect(self, port: int) -> Stream:
        raise NotImplementedError


def on_docker(daemon: FakeDaemon, service: Service, reach: Reach | None = None, edge: Edge | None = None) -> Subject:
    """Where services publish their own ports, which are this machine's without `reach`. `edge` answers the world."""
    image = daemon.images.import_rootfs(b"root", "hh/web:1", [])
    checks = FakeCheckRunner()
    made = deployments(daemon, NAMES, Probe(lambda: daemon.state("hh")), checks, reach, edge=edge)
    return Subject(made, desired_release(made, service, image), checks)


def behind_a_proxy(daemon: ProxiedDaemon, service: Service, answering: str) -> Subject:
    """Where services are behind a proxy, and containers of theirs answer at a URL."""
    image = daemon.images.import_rootfs(b"root", "hh/web:1", [])
    daemon.images.import_rootfs(b"proxy", PROXY, [])
    checks, ready = FakeCheckRunner(), service.model_copy(update={"health": Health(ready="/")})
    state = Probe(lambda: daemon.state("hh"))
    made = deployments(daemon, NAMES, state, checks, Answering(answering), PROXY)
    return Subject(made, desired_release(made, ready, image), checks)
