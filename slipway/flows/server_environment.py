"""An environment whose services run on an SSH host's Docker, from images that are built and tested on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slipway.clusters.lifecycle import NoLifecycle
from slipway.config.models import Config
from slipway.config.versions import Base
from slipway.deployers.docker import deployer
from slipway.deployers.docker.container import publishes
from slipway.docker.host_registry import HostRegistry
from slipway.docker.protocols import Daemon
from slipway.docker.reach import LoopbackOf
from slipway.docker.state import Container, State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Precondition, Step
from slipway.errors import NextCommand, Unreachable, UsageError
from slipway.flows.artifacts import Artifacts
from slipway.flows.docker_dev import DockerDev
from slipway.flows.environments import AssembledEnvironment, EnvironmentSite
from slipway.flows.fronts import Fronts
from slipway.flows.public_names import PublicNames, public_facts
from slipway.flows.services import AnyService
from slipway.flows.workspace import BuildMachine
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host
from slipway.images import base_images


@dataclass(frozen=True)
class ServerEnvironment:
    """Each service runs in one container of the host's Docker. `built` are the images here, `there` those on the host.

    `install` are the steps of the host; `fronts` is what stands in front of services.
    """

    name: str
    server: Host
    docker: Daemon
    build: BuildMachine
    built: Artifacts
    there: Artifacts
    registry: HostRegistry
    install: Callable[[], Iterator[AnyNode]]
    config: Config
    fronts: Fronts

    def setup(self) -> Iterator[AnyNode]:
        """What the host needs to run services."""
        return self.install()

    def start(self, after: tuple[str, ...] = ()) -> Iterator[AnyNode]:  # noqa: ARG002
        """Nothing: Docker runs."""
        return iter(())

    def prepare(self, services: Sequence[AnyService], after: tuple[str, ...]) -> Iterator[AnyNode]:
        """A host that can run what is built here, and the images of what goes in front of services there."""
        yield HostPlatform(
            name="platform",
            title=f"{self.server.name}: platform",
            probe=self.server.probe,
            after=after,
            server=self.server,
            build=self.build.host,
        )
        behind: tuple[str, ...] = ("platform",)
        exposed = [service.settings.expose.host for service in services if service.settings.expose]
        if exposed:
            names = self._public_names(exposed, behind)
            yield names
            behind = (*behind, names.id)
        yield from self.fronts.steps(services, self.there.state, behind, self._bring, f"{self.server.name}: ")

    def _public_names(self, exposed: Sequence[str], after: tuple[str, ...]) -> PublicNames:
        address = self.config.hosts.hosts[self.server.name].destination.host
        return PublicNames(
            name="names",
            title=f"{self.server.name}: public names",
            probe=public_facts(self.server, address, self.there.state, self.there.names, exposed),
            after=after,
            server=self.server.name,
        )

    def _bring(self, name: str, base: Base, report: Reporter) -> None:
        """Take an image from a bundle that was loaded there, or bring the one that this machine has or makes."""
        from slipway.flows.build import provide_base  # with all that builds, which most commands need not
        from slipway.installers import bundle

        tag = base_images.tag(name, base)
        if loaded := self.there.state.facts().tagged(bundle.image_tag(name)):
            self.docker.images.tag(loaded.id, tag)
            return
        here = provide_base(self.build, self.config, name, base, report)
        repository, _, version = tag.rpartition(":")
        self.registry.bring(here, repository, version, report)

    def before_build(self, service: AnyService, after: tuple[str, ...]) -> Iterator[AnyNode]:
        """No other container publishes its port."""
        yield UnpublishedPort(
            group=service.name,
            name="port",
            title=f"{service.name}: port {service.settings.published} on {self.server.name}",
            probe=self.there.state,
            after=after,
            server=self.server,
            number=service.settings.published,
            publishing=self.docker.containers.find_by_port,
        )

    def deliver(self, service: AnyService) -> Iterator[AnyNode]:
        """Its image, brought to the host."""
        yield BringImage(
            group=service.name,
            name="delivery",
            title=f"{service.name}: delivery",
            probe=self.there.state,
            after=(f"{service.name}/smoke",),
            invalidates=(self.there.state,),
            service=service,
            environment=self,
        )

    def before_release(self, service: AnyService) -> tuple[str, ...]:
        """Its port, its delivery, and the images of what goes in front of it."""
        return (f"{service.name}/port", f"{service.name}/delivery", *self.fronts.needed(service.settings))

    def image(self, service: AnyService) -> str:
        """The one that was brought."""
        return self.there.image(service) or ""

    def address(self, service: AnyService) -> NextCommand:
        """The command that opens a tunnel."""
        return NextCommand("forward", {"service": service.name, "env": self.name})


def assemble(site: EnvironmentSite) -> AssembledEnvironment:
    """The Docker of a site's host runs what this machine's Docker has built."""
    server, machine = site.server(), site.build
    docker, state = server.images.daemon, server.images.state

    def registry_image(report: Reporter) -> str:
        return server.images.provide("registry", report)

    reach = LoopbackOf(server.host, server.closing)
    return AssembledEnvironment(
        environment=ServerEnvironment(
            name=site.name,
            server=server.host,
            docker=docker,
            build=machine,
            built=site.artifacts,
            there=Artifacts(site.names, state),
            registry=HostRegistry(machine.docker, server.host, docker, registry_image),
            install=server.install,
            config=site.config,
            fronts=site.fronts,
        ),
        deployments=deployer.deployments(
            docker, site.names, state, machine.checks, reach, site.fronts.tag("proxy"), site.fronts.edge
        ),
        lifecycle=NoLifecycle(site.name),
        dev=DockerDev(machine.docker, site.names, machine.checks),
    )


@dataclass(frozen=True, kw_only=True)
class HostPlatform(Precondition[Facts]):
    """The host can run what is built here: asked before it is built."""

    server: Host
    build: Host

    def verify(self, facts: Facts) -> None:
        """Raise UsageError that names both platforms."""
        mine = self.build.probe.facts().platform
        if facts.platform != mine:
            summary = f"images built here are for {mine}, {self.server.name} is {facts.platform}"
            raise UsageError(summary, hint=f"deploy from a machine like {self.server.name}")


@dataclass(frozen=True, kw_only=True)
class UnpublishedPort(Precondition[State]):
    """A service's own port on the host's loopback: no other container publishes it."""

    server: Host
    number: int
    publishing: Callable[[int], Container | None]

    def verify(self, facts: State) -> None:
        """Raise Unreachable that names the container."""
        if any(publishes(container, self.group, self.number) for container in facts.containers):
            return
        if container := self.publishing(self.number):
            raise Unreachable(
                f"{self.group}: port {self.number} is taken on {self.server.name}",
                details=f"container {container.name} publishes it",
                hint=f"another `publish:` in {self.group}/service.yaml, or `docker rm -f {container.name}` there",
            )


@dataclass(frozen=True, kw_only=True)
class BringImage(Step[State]):
    """A service's image on the host's Docker, brought there layer by layer."""

    service: AnyService
    environment: ServerEnvironment

    def check(self, facts: State) -> Change | None:  # noqa: ARG002  what is asked is read off the same state
        """Whether the host has the image of these sources."""
        there = self.environment.there.image(self.service)
        return None if there else Change(f"{self.environment.server.name} does not have this image")

    def apply(self, report: Reporter) -> None:
        """Bring it."""
        environment = self.environment
        image = environment.built.image(self.service) or ""
        tag = environment.there.names.image(self.group, self.service.sources.facts().digest)
        repository, _, version = tag.rpartition(":")
        environment.registry.bring(image, repository, version, report)
