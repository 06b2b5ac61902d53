"""What the machines of an environment need; the steps of `setup`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.config.models import Config
from slipway.docker.protocols import Daemon
from slipway.docker.state import State
from slipway.engine.steps import AnyNode, Precondition, Probe
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, step_prefix, step_title
from slipway.hosts.preflight import require_preparable
from slipway.installers import bundle_images, curl, docker, java
from slipway.installers.bundle import Bundle

if TYPE_CHECKING:
    from slipway.flows.workspace import BuildMachine, Workspace

FRONTS = ("proxy", "edge")  # the images of what stands in front of services on a Docker, in a bundle


def setup(work: Workspace) -> Iterator[AnyNode]:
    """What an environment's machines need; for a cluster of ours that too, running."""
    return work.environment.setup()


def build_machine(config: Config, machine: BuildMachine, bundle: Bundle | None, *, bases: bool) -> Iterator[AnyNode]:
    """What this machine needs to build: curl, Docker, and where Leiningen builds a service a JDK and Leiningen.

    `bases`: the base images of a bundle too, where nothing else takes all images of it.
    """
    yield from curl.steps(machine.host)
    yield from docker.steps(machine.host, config.tools.docker, machine.docker, bundle=bundle)
    if bundle and bases:
        engine = (f"{step_prefix(machine.host)}/docker/engine",)
        wanted = {*config.images.bases, *FRONTS}.__contains__
        yield from bundle_images.steps(bundle, machine.host, machine.docker, machine.state, engine, wanted)
    if any(service.leiningen for service in config.services.values()):
        yield from java.steps(machine.host, config.tools, machine.clojars)


def ssh_host(
    config: Config, host: Host, daemon: Daemon, bundle: Bundle | None, tools: Callable[[], Iterator[AnyNode]]
) -> Iterator[AnyNode]:
    """What an SSH host needs: to be fit at all, Docker, and the tools of its cluster."""
    entry = config.hosts.hosts.get(host.name)
    fitness = FitHost(group=step_prefix(host), name="host", title=step_title(host, "host"), probe=host.probe, host=host)
    yield fitness
    proxy = (entry.proxy if entry else None) or ""
    after = (fitness.id,)
    yield from docker.steps(host, config.tools.docker, daemon, bundle=bundle, after=after, proxy=proxy)
    yield from tools()


def server(config: Config, host: Host, daemon: Daemon, state: Probe[State], bundle: Bundle | None) -> Iterator[AnyNode]:
    """What an SSH host needs whose Docker runs services: Docker, and from a bundle the images of what runs beside."""
    engine = (f"{step_prefix(host)}/docker/engine",)

    def images() -> Iterator[AnyNode]:
        if bundle:
            yield from bundle_images.steps(bundle, host, daemon, state, engine, {"registry", *FRONTS}.__contains__)

    return ssh_host(config, host, daemon, bundle, images)


@dataclass(frozen=True, kw_only=True)
class FitHost(Precondition[Facts]):
    """A host can be prepared at all: its system, its space, its clock, sudo."""

    host: Host

    def verify(self, facts: Facts) -> None:
        """Raise UsageError with the first thing that is wrong."""
        require_preparable(self.host.name, facts)
