"""A cluster behind a context of the user's kubeconfig: others made it, and Slipway only deploys to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from slipway.clusters import minikube
from slipway.clusters.kinds import ClusterSite, Tools
from slipway.clusters.lifecycle import NoLifecycle
from slipway.clusters.registry import LocalRegistry, Registry, RemoteRegistry
from slipway.clusters.system_images import SystemImages
from slipway.deployers.kubernetes import status
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode
from slipway.errors import UsageError
from slipway.hosts.host import Host
from slipway.installers import kubectl
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client


@dataclass(frozen=True)
class ContextCluster:
    """A `Cluster` that others made. `host` and `daemon` are this machine, where a Minikube of that name may run."""

    lifecycle: NoLifecycle
    client: Client
    host: Host
    daemon: Daemon
    images: SystemImages
    install: Tools
    team_registry: str = ""
    volumes: None = field(default=None, init=False)
    installs_metrics: bool = field(default=False, init=False)

    def tools(self) -> Iterator[AnyNode]:
        """Kubectl."""
        return self.install()

    def verify(self, state: State) -> None:
        """It is as others made it."""

    def platforms(self) -> set[str] | None:
        """What its nodes say; None where the user may not list them."""
        return status.platforms(self.client)

    def registry(self, source: Daemon) -> Registry:
        """The team's, or the one beside a Minikube of this machine."""
        if self.team_registry:
            return RemoteRegistry(source, self.team_registry)
        if self.client.context.name == minikube.PROFILE and self.daemon.containers.find(minikube.PROFILE) is not None:
            return LocalRegistry(source, self.host, self.daemon, minikube.PROFILE, self._registry_image)
        environment = self.lifecycle.environment
        hint = f"registry: HOST/NAME in environments/{environment}.yaml"
        raise UsageError(f"environment {environment} names no registry", hint=hint)

    def _registry_image(self, report: Reporter) -> str:
        return self.images.provide("registry", report)


def tools(site: ClusterSite) -> Iterator[AnyNode]:
    """Kubectl, on this machine."""
    return site.prepare(partial(kubectl.steps, site.host, site.tools, site.bundle))


def assemble(site: ClusterSite) -> ContextCluster:
    """The cluster of a site's context; kubectl is all that is installed for it."""
    return ContextCluster(
        lifecycle=NoLifecycle(site.environment),
        client=Client(KubeContext(site.context)),
        host=site.host,
        daemon=site.images.daemon,
        images=site.images,
        install=partial(tools, site),
        team_registry=site.registry,
    )
