"""What flows work with, for one environment: assembled once, by the one factory that knows kinds of environments."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from slipway.checks.runner import CheckRunner
from slipway.clusters.lifecycle import Lifecycle
from slipway.config.models import Config
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.deployments import Deployments
from slipway.deployers.docker.container import Names
from slipway.docker.protocols import Daemon, State
from slipway.engine.steps import Probe, ResourceLimit
from slipway.flows.artifacts import Artifacts, Skip
from slipway.flows.environment import RunEnvironment
from slipway.flows.secrets import SecretValues
from slipway.flows.services import Services
from slipway.hosts.host import Host


@dataclass(frozen=True)
class BuildMachine:
    """Where jars and images are built and tested: this machine, and its Docker. `state` is what that has.

    `clojars` is whether Clojars answers it; `compilers` how many Leiningens may run at once.
    """

    host: Host
    docker: Daemon
    state: Probe[State]
    checks: CheckRunner
    clojars: Probe[bool]
    compilers: ResourceLimit


@dataclass(frozen=True)
class Workspace:
    """One environment. What is read is read once, when it is first asked for; `closing` ends with the command."""

    config: Config
    name: str
    names: Names
    build: BuildMachine
    services: Services[Any]
    secrets: SecretValues[Any]
    artifacts: Artifacts
    deployments: Deployments[Any, Any]
    environment: RunEnvironment
    lifecycle: Lifecycle
    closing: ExitStack

    def reusable_image(self, name: str) -> str | None:
        """The image of a kept release with these sources and settings, so that nothing needs to be built."""
        return self.deployments.releases.reusable_image(self.services.desired(name))

    def already_released(self, names: tuple[str, ...]) -> Skip:
        """Whether a deploy of `names` makes nothing of a service: it and all that need it are released as they are."""

        def released(name: str) -> bool:
            users = (one for one in names if one == name or name in self.config.needs(one))
            return all(self.reusable_image(one) for one in users)

        return released

    def docker_if_needed(self, skip: Skip, names: tuple[str, ...]) -> Probe[State | None]:
        """What the build machine's Docker has; None, and not asked, where nothing is to be made of these services."""

        def read() -> State | None:
            return None if all(skip(name) for name in names) else self.build.state.facts()

        return Probe(read)

    def desired(self, name: str) -> DesiredRelease[Any]:
        """The release that a deploy wants to run, with its image where it has one."""
        from dataclasses import replace

        return replace(self.services.desired(name), image=self.environment.image(name))
