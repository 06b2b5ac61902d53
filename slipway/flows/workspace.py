"""What flows work with, for one environment: assembled once, by the one factory that knows kinds of environments."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from slipway.engine.limits import ResourceLimit
from slipway.engine.once import Once
from slipway.engine.steps import Probe
from slipway.flows.at_the_end import AtTheEnd

if TYPE_CHECKING:
    from slipway.checks.runner import CheckRunner
    from slipway.clusters.lifecycle import Lifecycle
    from slipway.config.models import Config
    from slipway.deployers.deployer import DesiredRelease
    from slipway.deployers.deployments import Deployments
    from slipway.deployers.docker.warm_containers import EndLater
    from slipway.docker.labels import Names
    from slipway.docker.protocols import Daemon
    from slipway.docker.state import State
    from slipway.flows.artifacts import Artifacts, Skip
    from slipway.flows.dev_environment import DevEnvironment
    from slipway.flows.environment import RunEnvironment
    from slipway.flows.secrets import SecretValues
    from slipway.flows.services import AnyService, Services
    from slipway.hosts.facts import BuildFacts
    from slipway.hosts.host import Host


@dataclass(frozen=True)
class BuildMachine:
    """Where jars and images are built and tested: this machine, and its Docker, with what is read of both.

    `compilers` is how many Leiningens may run at once, `reuse` whether what one said before counts; `later` is given
    what is best done at the end. `end_later` ends what smoke tests keep for the next run: without it, nothing.
    """

    host: Host
    docker: Daemon
    probe: Probe[BuildFacts]  # of the host, for builds alone
    state: Probe[State]  # of Docker
    checks: CheckRunner
    clojars: Probe[bool]  # whether it answers
    compilers: ResourceLimit
    reuse: bool = True
    later: AtTheEnd = field(default_factory=AtTheEnd)
    end_later: EndLater | None = None
    archives: Once[bytes] = field(default_factory=Once)  # class data of images, made in this run


@dataclass(frozen=True)
class Workspace:
    """One environment. What is read is read once, when it is first asked for; `closing` ends with the command."""

    config: Config
    name: str
    names: Names
    build: BuildMachine
    services: Services
    secrets: SecretValues[Any]
    artifacts: Artifacts
    deployments: Deployments[Any, Any]
    environment: RunEnvironment
    lifecycle: Lifecycle
    dev: DevEnvironment
    closing: ExitStack

    def reusable_image(self, service: AnyService) -> str | None:
        """The image of a kept release with these sources and settings, so that nothing needs to be built."""
        return self.deployments.releases.reusable_image(service.release.facts())

    def already_released(self, chosen: Sequence[AnyService]) -> Skip:
        """Whether a deploy makes nothing of a service: it and all that need it are released as they are."""

        def released(service: AnyService) -> bool:
            users = (one for one in chosen if one is service or service.name in one.needs)
            return all(self.reusable_image(one) for one in users)

        return released

    def unless_built(self, skip: Skip) -> Skip:
        """Whether a jar is not needed: its image is there, or `skip` says so."""
        return lambda service: self.artifacts.image(service) or skip(service)

    def docker_if_needed(self, skip: Skip, services: Sequence[AnyService]) -> Probe[State | None]:
        """What the build machine's Docker has; None, and not asked, where nothing is to be made of these services."""

        def read() -> State | None:
            return None if all(skip(service) for service in services) else self.build.state.facts()

        return Probe(read)

    def desired(self, service: AnyService) -> DesiredRelease[Any]:
        """The release that a deploy wants to run, with its image where it has one."""
        return replace(service.release.facts(), image=self.environment.image(service))
