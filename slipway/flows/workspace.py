"""An environment, its services and the machines behind it, as every flow sees them: facts read once, when asked."""

from __future__ import annotations

import getpass
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.config.models import Config, Environment, Service
from slipway.config.secret_sources.generated import Generate
from slipway.deployers.deployer import Target, Wanted
from slipway.deployers.docker.container import Names
from slipway.deployers.docker.deployer import DockerTarget
from slipway.docker.protocols import Daemon, State
from slipway.engine.steps import Probe, Reporter, ResourceLimit
from slipway.errors import Problem, Unreachable, UsageError
from slipway.hosts.host import Host
from slipway.images import base_images as bases
from slipway.images import image as images
from slipway.images import jar as jars
from slipway.images import source_digest as source
from slipway.installers import bundle as bundles
from slipway.installers import java as java_tool
from slipway.installers import minikube as minikube_tool
from slipway.secrets import resolution

if TYPE_CHECKING:
    from slipway.clusters.registry import Delivery
    from slipway.deployers.kubernetes.deployer import KubernetesTarget


SkipPolicy = Callable[[str], object]  # whether what a step makes of a service is not wanted after all


def never(_: str) -> bool:
    """See `SkipPolicy`."""
    return False


@dataclass(frozen=True)
class Sources:
    """A service's sources as they stand: their digest, and the jar made from them if it is there."""

    digest: str
    jar: Path | None


@dataclass
class Workspace:
    """An environment as flows see it: built on `host` with `daemon`, running on `place` with `beside`.

    The two are one machine unless the environment is behind an SSH host. `mask` hears every secret first.
    """

    config: Config
    environment: Environment
    host: Host
    daemon: Daemon
    run_host: Host
    run_docker: Daemon
    mask: Callable[[Sequence[str]], None]
    closing: ExitStack = field(default_factory=ExitStack)
    bundle: bundles.Bundle | None = None
    _drafts: dict[str, str] = field(default_factory=dict)  # generated secrets, by place
    _drafting: threading.Lock = field(default_factory=threading.Lock)
    _brought: dict[str, str] = field(default_factory=dict)  # references, by the image's name
    _bringing: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def names(self) -> Names:
        """What things are called."""
        return Names(self.config.project.name, self.config.project.short)

    @cached_property
    def state(self) -> Probe[State]:
        """What the daemon has."""
        return Probe(lambda: self.daemon.state(self.config.project.name))

    @cached_property
    def run_docker_state(self) -> Probe[State]:
        """What the daemon has where the services run."""
        if self.run_docker is self.daemon:
            return self.state
        return Probe(lambda: self.run_docker.state(self.config.project.name))

    @cached_property
    def clojars(self) -> Probe[bool]:
        """Whether Clojars answers; asked only where it decides something."""
        return Probe(lambda: java_tool.reachable(self.host.probe.facts()))

    @cached_property
    def kept(self) -> Probe[dict[str, str]]:
        """The generated secrets that there are, all masked."""
        return Probe(self._kept)

    def _kept(self) -> dict[str, str]:
        values = self.target.generated(self.live.facts())
        self.mask(list(values.values()))
        return values

    @cached_property
    def target(self) -> Target:
        """Where the services run."""
        return self._docker if self.environment.local else self.cluster_target

    @cached_property
    def compilers(self) -> ResourceLimit:
        """A Leiningen for each CPU: more would only take memory from each other."""
        return ResourceLimit("another Leiningen", os.cpu_count() or 1)

    @property
    def live(self) -> Probe[Any]:
        """What the target has."""
        return self.target.probe

    @cached_property
    def _docker(self) -> DockerTarget:
        return DockerTarget(self.daemon, self.names, self.state, self.host.run)

    @cached_property
    def cluster_target(self) -> KubernetesTarget:
        """The target, where it is a cluster."""
        from slipway.deployers.kubernetes.apply import NamespaceScope
        from slipway.deployers.kubernetes.deployer import KubernetesTarget
        from slipway.kubernetes.api import KubeContext
        from slipway.kubernetes.client import Cluster
        from slipway.kubernetes.kubeconfig import borrowed
        from slipway.kubernetes.volumes import Storage

        environment, project = self.environment, self.config.project
        far = (
            None
            if self.run_host is self.host
            else partial(borrowed, self.run_host, minikube_tool.PROFILE, self.closing)
        )
        cluster = Cluster(KubeContext(environment.context or minikube_tool.PROFILE, far))
        namespace = environment.namespace or project.name
        who = f"{getpass.getuser()}@{socket.gethostname()} (pid {os.getpid()})"
        where = NamespaceScope(
            cluster, project.name, namespace, self.run_host, lambda report: self.brought("probe", report), who
        )
        storage = Storage(cluster, self.run_docker, minikube_tool.PROFILE, project.name, namespace)
        return KubernetesTarget(where, Probe(self._cluster_state), storage if environment.minikube else None)

    def _cluster_state(self) -> Any:
        from slipway.deployers.kubernetes.release_store import State as ClusterState

        try:
            return self.cluster_target.read()
        except Problem as problem:
            if not isinstance(problem, Unreachable) or not self.environment.minikube:
                raise
            node = self.run_docker.find(minikube_tool.PROFILE)
            if node is None:
                return ClusterState(down="there is no cluster")
            details = "the cluster's API does not answer" if node.running else "the cluster is stopped"
            return ClusterState(down=details, start=f"./invoke cluster.start --env {self.environment.name}")

    def delivery(self, report: Reporter, source: Daemon | None = None) -> Delivery:
        """How an image of `source` (default: this machine's Docker) gets to where the services run.

        Raises Problem where the environment names no registry.
        """
        source = source or self.daemon
        from slipway.clusters.registry import LocalRegistry, RemoteRegistry

        self.reachable()
        if self.environment.registry:
            return RemoteRegistry(source, self.environment.registry)
        return LocalRegistry(
            source, self.run_host, self.run_docker, minikube_tool.PROFILE, self.provided("registry", report)
        )

    def reachable(self) -> None:
        """Raise Problem where no image reaches the cluster: a context that names no registry, and no Minikube here."""
        environment = self.environment
        if not (environment.registry or environment.minikube or self._minikube_here):
            hint = f"registry: HOST/NAME in environments/{environment.name}.yaml"
            raise UsageError(f"environment {environment.name} names no registry", hint=hint)

    @cached_property
    def _minikube_here(self) -> bool:
        """Whether the context that is named is that of a Minikube on this machine's Docker."""
        return (
            self.environment.context == minikube_tool.PROFILE
            and self.run_docker.find(minikube_tool.PROFILE) is not None
        )

    def brought(self, name: str, report: Reporter) -> str:
        """An image that Slipway runs itself, brought to the cluster once: the reference by which a pod takes it."""
        with self._bringing:
            if name not in self._brought:
                image, repository = self.provided(name, report), f"{self.config.project.name}/slipway-{name}"
                self._brought[name] = self.delivery(report, self.run_docker).deliver(image, repository, "1", report)
            return self._brought[name]

    def part(self, name: str) -> str:
        """The tag of an image that Slipway runs itself: a bundle's, else its pinned reference's."""
        if self.run_docker_state.facts().tagged(bundles.local(name)):
            return bundles.local(name)
        return bases.tag(name, self.config.images.parts[name])

    def provided(self, name: str, report: Reporter) -> str:
        """The tag of an image that Slipway runs itself, had by the place's Docker. Raises Problem if it can't be."""
        tag = self.part(name)
        if self.run_docker_state.facts().tagged(tag) is None:
            reference = self.config.images.parts[name].upstream or ""
            self.run_docker.tag(self.run_docker.pull(reference, report), tag)
            self.run_docker_state.forget()
        return tag

    @cached_property
    def delivered(self) -> dict[str, str]:
        """The references of images that this run has brought to the cluster, by service."""
        return {}

    def released(self, name: str) -> str | None:
        """The image of a kept release with these sources and settings, so that nothing needs to be built."""
        if self.environment.local or self.live.facts().down:
            return None
        return self.cluster_target.released(self.live.facts(), self._wanted(name, ""))

    def already_released(self, names: Sequence[str]) -> SkipPolicy:
        """Whether a deploy of `names` makes nothing of a service: it and all that need it are released as they are."""
        return lambda name: all(self.released(one) for one in names if one == name or name in self.config.needs(one))

    def docker_if_needed(self, unless: SkipPolicy, names: Sequence[str]) -> Probe[State | None]:
        """What Docker here has; None, and not asked, where nothing is to be made of these services."""
        return Probe(lambda: None if all(unless(name) for name in names) else self.state.facts())

    def service(self, name: str) -> Service:
        """A service as this environment wants it."""
        return self.config.service_for(self.environment, name)

    @cached_property
    def _sources(self) -> dict[str, Probe[Sources]]:
        return {name: Probe(lambda name=name: self._read(name)) for name in self.config.services}  # type: ignore[misc]

    def sources(self, name: str) -> Probe[Sources]:
        """A service's sources and jar."""
        return self._sources[name]

    def _read(self, name: str) -> Sources:
        service = self.service(name)
        base = self.config.images.bases.get(service.base)
        made = service.image or str(service.leiningen)
        settings = (made, service.dockerfile, bases.identity(base) if base else service.base)
        digest = source.digest(service.folder, settings, service.shared)
        return Sources(digest, jars.found(service.folder, digest))

    def ensure_sources_unchanged(self, name: str, digest: str) -> None:
        """Raise Problem where a service's sources are not those of `digest` any more: what was made is not of these."""
        if self._read(name).digest != digest:
            raise Problem(f"{name}: its sources changed while it was built", hint="run the same command again")

    def secrets(self, service: Service) -> dict[str, str]:
        """The values of a service's secrets; what is not kept yet is made up for this run, until step `secrets`."""
        kept = self.kept.facts()
        value = lambda place, how: kept.get(place) or self._draft(place, how)  # noqa: E731
        values = resolution.resolve(service, self.environment, self.config.services, value)
        self.mask(list(values.values()))
        return values

    def hide(self, service: Service) -> None:
        """Mask a service's secrets before its own words are shown: all that are kept, its others if they are here."""
        self.kept.facts()
        with suppress(Problem):
            self.secrets(service)

    def _draft(self, place: str, how: Generate) -> str:
        with self._drafting:
            if place not in self._drafts:
                self._drafts[place] = how.new_value()
            return self._drafts[place]

    def missing_secrets(self, names: Sequence[str], kept: Mapping[str, str]) -> dict[str, str]:
        """The generated secrets of services that are not kept yet, as this run made them up. Raises as `secrets`."""
        found = {}
        for name in names:
            service = self.service(name)
            self.secrets(service)
            for place, how in resolution.generated_secrets(service, self.environment, self.config.services).items():
                if place not in kept:
                    found[place] = self._draft(place, how)
        return found

    def wanted(self, name: str, *, commit: str = "") -> Wanted:
        """What a deploy of the sources as they stand wants to serve."""
        if self.environment.local:
            return self._wanted(name, self.built(name) or "", commit)
        return self._wanted(name, self.delivered.get(name) or self.released(name) or "", commit)

    def _wanted(self, name: str, image: str, commit: str = "") -> Wanted:
        service, sources = self.service(name), self.sources(name).facts()
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        return Wanted(service, image, sources.digest, self.secrets(service), who, commit)

    def built(self, name: str) -> str | None:
        """The id of this Docker's image of the sources as they stand."""
        digest = self.sources(name).facts().digest
        image = images.present(self.state.facts(), self.config.project.name, name, digest)
        return image.id if image else None
