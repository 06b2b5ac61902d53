"""An environment whose services run on one Docker: each on a port of its own, from the images that were built there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slipway.clusters.lifecycle import NoLifecycle
from slipway.config.models import Config
from slipway.config.versions import Base
from slipway.deployers.docker import deployer
from slipway.deployers.docker.container import publishes
from slipway.docker import ports
from slipway.docker.state import Container, State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Precondition
from slipway.flows.artifacts import Artifacts
from slipway.flows.docker_dev import DockerDev
from slipway.flows.environments import AssembledEnvironment, EnvironmentSite
from slipway.flows.fronts import Fronts
from slipway.flows.services import AnyService
from slipway.flows.workspace import BuildMachine


@dataclass(frozen=True)
class DockerEnvironment:
    """Each service runs in one container of the Docker that built its image. `machine` are the steps of its host.

    `fronts` is what stands in front of them.
    """

    config: Config
    artifacts: Artifacts
    build: BuildMachine
    fronts: Fronts
    machine: Callable[[], Iterator[AnyNode]]

    def setup(self) -> Iterator[AnyNode]:
        """What the machine needs to build and run services."""
        return self.machine()

    def start(self, after: tuple[str, ...] = ()) -> Iterator[AnyNode]:  # noqa: ARG002
        """Nothing: Docker runs."""
        return iter(())

    def prepare(self, services: Sequence[AnyService], after: tuple[str, ...]) -> Iterator[AnyNode]:
        """The images of what goes in front of services."""
        return self.fronts.steps(services, self.build.state, after, self._provide)

    def _provide(self, name: str, base: Base, report: Reporter) -> None:
        from slipway.flows.build import provide_base  # with all that builds, which most commands need not

        provide_base(self.build, self.config, name, base, report)

    def before_build(self, service: AnyService, after: tuple[str, ...]) -> Iterator[AnyNode]:
        """Its port must be free, or its own container's."""
        name, number = service.name, service.settings.published
        others = frozenset(service.published for service in self.config.services.values())
        yield FreePort(
            group=name,
            name="port",
            title=f"{name}: port {number}",
            probe=self.build.state,
            after=after,
            number=number,
            others=others,
            publishing=self.build.docker.containers.find_by_port,
        )

    def deliver(self, service: AnyService) -> Iterator[AnyNode]:  # noqa: ARG002
        """Nothing: it is there."""
        return iter(())

    def before_release(self, service: AnyService) -> tuple[str, ...]:
        """Its port, and the images of what goes in front of it."""
        return (f"{service.name}/port", *self.fronts.needed(service.settings))

    def image(self, service: AnyService) -> str:
        """The one that was built."""
        return self.artifacts.image(service) or ""

    def address(self, service: AnyService) -> str:
        """Its loopback URL."""
        return f"http://127.0.0.1:{service.settings.published}"


def assemble(site: EnvironmentSite) -> AssembledEnvironment:
    """The Docker that builds a site's images runs its services."""
    machine = site.build
    return AssembledEnvironment(
        environment=DockerEnvironment(
            config=site.config,
            artifacts=site.artifacts,
            build=machine,
            fronts=site.fronts,
            machine=site.machine,
        ),
        deployments=deployer.deployments(
            machine.docker,
            site.names,
            machine.state,
            machine.checks,
            proxy=site.fronts.tag("proxy"),
            edge=site.fronts.edge,
        ),
        lifecycle=NoLifecycle(site.name),
        dev=DockerDev(machine.docker, site.names, machine.checks),
    )


@dataclass(frozen=True, kw_only=True)
class FreePort(Precondition[State]):
    """A service's own port of this machine: free, or its own container's. `others` are not proposed instead."""

    number: int
    others: frozenset[int]
    publishing: Callable[[int], Container | None]

    def verify(self, facts: State) -> None:
        """Raise Unreachable that names who has it."""
        if not any(publishes(container, self.group, self.number) for container in facts.containers):
            ports.ensure_free(self.group, self.number, set(self.others), self.publishing)
