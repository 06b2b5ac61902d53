"""A Minikube of ours, on this machine or on an SSH host, with a registry beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from slipway.clusters import minikube
from slipway.clusters.kinds import ClusterSite, Tools
from slipway.clusters.lifecycle import Outage
from slipway.clusters.registry import LocalRegistry, Registry, RemoteRegistry
from slipway.config.models import ClusterSpec
from slipway.docker.protocols import Daemon
from slipway.docker.state import State as DockerState
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Probe
from slipway.errors import NextCommand
from slipway.hosts.host import Host, step_prefix
from slipway.installers import bundle_images
from slipway.installers import minikube as minikube_programs

if TYPE_CHECKING:
    from slipway.clusters.system_images import SystemImages
    from slipway.clusters.volumes import NodeVolumes
    from slipway.deployers.kubernetes.release_store import State
    from slipway.kubernetes.client import Client


@dataclass(frozen=True)
class MinikubeLifecycle:
    """The Minikube of one machine. `environment` is where a user names it."""

    environment: str
    host: Host
    daemon: Daemon
    state: Probe[DockerState]
    spec: ClusterSpec

    def ensure_managed(self) -> None:
        """It is ours."""

    def start(self, report: Reporter) -> str:
        """Start it with what the machine's Docker has of its images."""
        tags = {tag for image in self.state.facts().images for tag in image.tags}
        resumed = minikube.start(self.host, self.daemon, self.spec, tags, report)
        node = self.daemon.containers.find(minikube.PROFILE) if resumed else None
        return node.started if node else ""

    def stop(self, report: Reporter) -> None:
        """Stop it."""
        minikube.stop(self.host, report)

    def delete(self, report: Reporter) -> None:
        """Remove it."""
        minikube.delete(self.host, report)

    def outage(self) -> Outage:
        """Whether its node is there, and runs."""
        node = self.daemon.containers.find(minikube.PROFILE)
        if node is None:
            return Outage("there is no cluster")
        reason = "the cluster's API does not answer" if node.running else "the cluster is stopped"
        return Outage(reason, (NextCommand("cluster.start", {"env": self.environment}),))


@dataclass(frozen=True)
class MinikubeCluster:
    """A `Cluster` that Slipway makes. `remote` is whether images are built on another machine than its own."""

    lifecycle: MinikubeLifecycle
    client: Client
    volumes: NodeVolumes | None
    images: SystemImages
    install: Tools
    remote: bool
    team_registry: str = ""
    installs_metrics: bool = field(default=True, init=False)

    def tools(self) -> Iterator[AnyNode]:
        """Kubectl and minikube, and what a bundle has for them; on an SSH host Docker first."""
        return self.install()

    def verify(self, state: State) -> None:
        """There must be room for one that does not run, and one that runs must have the runtime that is wanted."""
        spec = self.lifecycle.spec
        if state.down:
            minikube.require_capacity(self.lifecycle.host.probe.facts(), spec)
        minikube.require_runtime(state.runtimes, spec)

    def platforms(self) -> set[str] | None:
        """Its machine's."""
        return {self.lifecycle.host.probe.facts().platform} if self.remote else None

    def registry(self, source: Daemon) -> Registry:
        """The one beside it, unless the team names its own."""
        if self.team_registry:
            return RemoteRegistry(source, self.team_registry)
        own = self.lifecycle
        return LocalRegistry(source, own.host, own.daemon, minikube.PROFILE, self._registry_image)

    def _registry_image(self, report: Reporter) -> str:
        return self.images.provide("registry", report)


def assemble(site: ClusterSite) -> MinikubeCluster:
    """The Minikube of a site's machine; that of an SSH host is asked through a tunnel."""
    from slipway.clusters.volumes import NodeVolumes
    from slipway.kubernetes.api import KubeContext
    from slipway.kubernetes.client import Client
    from slipway.kubernetes.kubeconfig import tunnelled_kubeconfig

    docker, state, profile = site.images.daemon, site.images.state, minikube.PROFILE
    kubeconfig = partial(tunnelled_kubeconfig, site.host, profile, site.closing) if site.remote else None
    client = Client(KubeContext(profile, kubeconfig))
    return MinikubeCluster(
        lifecycle=MinikubeLifecycle(site.environment, site.host, docker, state, site.spec),
        client=client,
        volumes=NodeVolumes(client, docker, profile, site.images.project, site.namespace),
        images=site.images,
        install=partial(tools, site),
        remote=site.remote,
        team_registry=site.registry,
    )


def tools(site: ClusterSite) -> Iterator[AnyNode]:
    """What a Minikube's machine needs; on an SSH host Docker first."""
    return site.prepare(partial(_programs, site))


def _programs(site: ClusterSite) -> Iterator[AnyNode]:
    """Kubectl and minikube on a host whose Docker runs, and what a bundle has for them."""
    engine = (f"{step_prefix(site.host)}/docker/engine",)
    yield from minikube_programs.steps(site.host, site.tools, site.spec, site.bundle, engine)
    if site.bundle:
        yield from bundle_images.steps(site.bundle, site.host, site.images.daemon, site.images.state, engine)
