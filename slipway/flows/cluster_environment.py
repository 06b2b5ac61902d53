"""An environment whose services run on a cluster: in a namespace, from images that its nodes pull by digest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.clusters import kinds, metrics_server
from slipway.clusters.cluster import Cluster, state_of
from slipway.clusters.metrics_server import Metrics
from slipway.clusters.system_images import SystemImages
from slipway.clusters.volumes import NodeVolumes, Volumes
from slipway.config.models import Service
from slipway.deployers.kubernetes import deployer
from slipway.deployers.kubernetes.check_pod import CheckPods
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State
from slipway.deployers.releases import Releases
from slipway.docker.state import State as DockerState
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Precondition, Probe, Step
from slipway.errors import NextCommand, UsageError
from slipway.flows.artifacts import Artifacts
from slipway.flows.cluster_dev import ClusterDev
from slipway.flows.environments import AssembledEnvironment, EnvironmentSite
from slipway.flows.services import AnyService
from slipway.flows.workspace import BuildMachine
from slipway.hosts.host import step_title
from slipway.hosts.this_user import who


@dataclass(frozen=True)
class ClusterEnvironment:
    """Services run as Deployments of one namespace. `machine` are the steps of the machine that builds."""

    name: str
    cluster: Cluster
    title: str  # of the step that starts the cluster
    namespace: ProjectNamespace
    releases: Releases[Any]
    artifacts: Artifacts
    build: BuildMachine
    run_state: Probe[DockerState]
    images: SystemImages
    machine: Callable[[], Iterator[AnyNode]]
    delivered: dict[str, str] = field(default_factory=dict)  # references that this run brought, by service

    def setup(self) -> Iterator[AnyNode]:
        """What the machines need, and the cluster itself, running."""
        yield from self.machine()
        tools = tuple(self.cluster.tools())
        yield from tools
        yield from self.start(tuple(node.id for node in tools))

    def start(self, after: tuple[str, ...] = ()) -> Iterator[AnyNode]:
        """The cluster, running."""
        yield StartCluster(
            name="cluster",
            title=self.title,
            probe=self.namespace.state,
            after=after,
            invalidates=(self.build.state, self.run_state),
            cluster=self.cluster,
            namespace=self.namespace,
        )

    def prepare(self, services: Sequence[AnyService], after: tuple[str, ...]) -> Iterator[AnyNode]:
        """The cluster running, its namespace, nodes that can run what is built; metrics and volumes that it lacks."""
        yield from self.start(after)
        yield CreateNamespace(
            name="namespace",
            title=f"namespace {self.namespace.name}",
            probe=self.namespace.state,
            after=("cluster",),
            namespace=self.namespace,
        )
        yield NodePlatform(
            name="platform",
            title="the nodes' platform",
            probe=Probe(self.cluster.platforms),
            after=("cluster",),
            environment=self,
            services=tuple(services),
        )
        settings = [service.settings for service in services]
        if self.cluster.installs_metrics and any(service.autoscale for service in settings):
            client = self.namespace.scope.cluster
            yield InstallMetrics(
                name="metrics",
                title="metrics for autoscaling",
                probe=Probe(lambda: metrics_server.read(client)),
                after=("cluster",),
                environment=self,
            )
        if self.cluster.volumes and any(service.storage for service in settings):
            yield ProvideVolumes(
                name="storage",
                title="volumes",
                probe=Probe(self.cluster.volumes.read),
                after=("namespace",),
                volumes=self.cluster.volumes,
                services=tuple(service for service in settings if service.storage),
            )

    def before_build(self, service: AnyService, after: tuple[str, ...]) -> Iterator[AnyNode]:  # noqa: ARG002
        """Nothing of one service."""
        return iter(())

    def deliver(self, service: AnyService) -> Iterator[AnyNode]:
        """Its image, pushed to the cluster's registry."""
        yield DeliverImage(
            group=service.name,
            name="delivery",
            title=f"{service.name}: delivery",
            probe=Probe(lambda: None if self.reusable_image(service) else self.build.state.facts()),
            after=(f"{service.name}/smoke",),
            service=service,
            environment=self,
        )

    def before_release(self, service: AnyService) -> tuple[str, ...]:
        """Its delivery, and what it needs of the cluster."""
        metrics = ("metrics",) if self.cluster.installs_metrics and service.settings.autoscale else ()
        storage = ("storage",) if self.cluster.volumes and service.settings.storage else ()
        return (f"{service.name}/delivery", *metrics, *storage)

    def image(self, service: AnyService) -> str:
        """The one that was brought, or that of a kept release."""
        return self.delivered.get(service.name) or self.reusable_image(service) or ""

    def reusable_image(self, service: AnyService) -> str | None:
        """The image of a kept release of the same sources and settings."""
        return self.releases.reusable_image(service.release.facts())

    def address(self, service: AnyService) -> NextCommand:
        """The command that opens a tunnel."""
        return NextCommand("forward", {"service": service.name, "env": self.name})


def assemble(site: EnvironmentSite) -> AssembledEnvironment:
    """The cluster of a site's environment, and what deploys to the project's namespace on it."""
    found = site.cluster()
    cluster = kinds.assemble(found)
    client, host, project = cluster.client, found.host, site.config.project.name

    def probe_image(report: Reporter) -> str:
        return found.images.bring("probe", cluster.registry, report)

    def read() -> State:
        return state_of(namespace, cluster.lifecycle)

    checks = CheckPods(client, project, found.namespace, host.run, probe_image)
    found.closing.callback(checks.close)
    scope = NamespaceScope(client, project, found.namespace, host, checks, f"{who()} (pid {os.getpid()})")
    namespace = ProjectNamespace(scope, Probe(read), cluster.volumes)
    made = deployer.deployments(namespace)
    environment = ClusterEnvironment(
        name=site.name,
        cluster=cluster,
        title=step_title(host, f"cluster {client.context.name}"),
        namespace=namespace,
        releases=made.releases,
        artifacts=site.artifacts,
        build=site.build,
        run_state=found.images.state,
        images=found.images,
        machine=site.machine,
    )
    dev = ClusterDev(namespace, made, site.build.checks, probe_image)
    return AssembledEnvironment(environment, made, cluster.lifecycle, dev)


@dataclass(frozen=True, kw_only=True)
class StartCluster(Step[State]):
    """The cluster, running."""

    cluster: Cluster
    namespace: ProjectNamespace

    def check(self, facts: State) -> Change | None:
        """Whether its API answers."""
        self.cluster.verify(facts)
        return Change(facts.down) if facts.down else None

    def apply(self, report: Reporter) -> None:
        """Start it, or create it; what ran on it before runs again."""
        resumed = self.cluster.lifecycle.start(report)
        self.namespace.scope.cluster.forget()
        if resumed:
            self.namespace.wait_until_resumed(resumed, report)


@dataclass(frozen=True, kw_only=True)
class CreateNamespace(Step[State]):
    """The project's namespace, which lets no pod have privileges (Pod Security Standard `restricted`)."""

    namespace: ProjectNamespace

    def check(self, facts: State) -> Change | None:
        """Whether it exists."""
        return None if facts.namespace else Change(f"there is no namespace {self.namespace.name}")

    def apply(self, report: Reporter) -> None:
        """Create it."""
        self.namespace.create(report)


@dataclass(frozen=True, kw_only=True)
class NodePlatform(Precondition[set[str] | None]):
    """The nodes can run what is built here, and there is a registry to pull it from: asked before it is built."""

    environment: ClusterEnvironment
    services: tuple[AnyService, ...]

    def verify(self, facts: set[str] | None) -> None:
        """Raise UsageError that names both platforms, or that there is no registry."""
        mine = self.environment.build.host.probe.facts().platform if facts else ""
        if facts and mine not in facts:
            summary = f"images built here are for {mine}, the cluster's nodes for {', '.join(sorted(facts))}"
            raise UsageError(summary, hint="deploy from a machine like the nodes")
        if any(self.environment.reusable_image(service) is None for service in self.services):
            self.environment.cluster.registry(self.environment.build.docker)


@dataclass(frozen=True, kw_only=True)
class InstallMetrics(Step[Metrics]):
    """The metrics that autoscaling reads."""

    environment: ClusterEnvironment

    def check(self, facts: Metrics) -> Change | None:
        """Whether the cluster has them."""
        return metrics_server.differs(facts)

    def apply(self, report: Reporter) -> None:
        """Install the metrics server."""
        environment = self.environment
        image = environment.images.bring("metrics-server", environment.cluster.registry, report)
        metrics_server.install(environment.namespace.scope.cluster, image, report)


@dataclass(frozen=True, kw_only=True)
class ProvideVolumes(Step[Volumes]):
    """The volumes that claims bind to, where a cluster makes none by itself."""

    volumes: NodeVolumes
    services: tuple[Service, ...]

    def check(self, facts: Volumes) -> Change | None:
        """Whether each claim has one."""
        return self.volumes.differs(facts, self.services)

    def apply(self, report: Reporter) -> None:
        """Make them."""
        self.volumes.provide(self.services, report)


@dataclass(frozen=True, kw_only=True)
class DeliverImage(Step[DockerState | None]):
    """A service's image pushed where the nodes pull it, missing layers only."""

    service: AnyService
    environment: ClusterEnvironment

    def check(self, facts: DockerState | None) -> Change | None:  # noqa: ARG002  whether Docker is asked is the question
        """Whether this run brought it, or a kept release has it."""
        known = self.group in self.environment.delivered or self.environment.reusable_image(self.service)
        return None if known else Change("the cluster does not have this image")

    def apply(self, report: Reporter) -> None:
        """Push it."""
        environment, name = self.environment, self.group
        repository = f"{environment.namespace.scope.project}/{name}"
        digest = self.service.sources.facts().digest
        registry = environment.cluster.registry(environment.build.docker)
        image = environment.artifacts.image(self.service) or ""
        environment.delivered[name] = registry.deliver(image, repository, digest, report)
