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

from slipway.build import base as bases
from slipway.build import image as images
from slipway.build import jar as jars
from slipway.build import source
from slipway.config.models import Config, Environment, Generate, Service
from slipway.errors import ExitCode, Problem
from slipway.hosts.docker import Daemon, State
from slipway.hosts.host import Host
from slipway.steps import Lane, Probe, Say
from slipway.targets import secrets as secret_sources
from slipway.targets.container import Names
from slipway.targets.docker import DockerTarget
from slipway.targets.target import Target, Wanted
from slipway.tools import bundle as bundles
from slipway.tools import java as java_tool
from slipway.tools import minikube as minikube_tool

if TYPE_CHECKING:
    from slipway.targets.kubernetes.registry import Delivery
    from slipway.targets.kubernetes.target import KubernetesTarget


Unless = Callable[[str], object]  # whether what a step makes of a service is not wanted after all


def never(_: str) -> bool:
    """See `Unless`."""
    return False


@dataclass(frozen=True)
class Sources:
    """A service's sources as they stand: their digest, and the jar made from them if it is there."""

    digest: str
    jar: Path | None


@dataclass
class Here:
    """An environment as flows see it: built on `host` with `daemon`, running on `place` with `beside`.

    The two are one machine unless the environment is behind an SSH host. `mask` hears every secret first.
    """

    config: Config
    environment: Environment
    host: Host
    daemon: Daemon
    place: Host
    beside: Daemon
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
    def state_there(self) -> Probe[State]:
        """What the daemon has where the services run."""
        if self.beside is self.daemon:
            return self.state
        return Probe(lambda: self.beside.state(self.config.project.name))

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
    def compilers(self) -> Lane:
        """A Leiningen for each CPU: more would only take memory from each other."""
        return Lane("another Leiningen", os.cpu_count() or 1)

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
        from slipway.targets.kubernetes.apply import Where
        from slipway.targets.kubernetes.client import Access, Cluster
        from slipway.targets.kubernetes.kubeconfig import borrowed
        from slipway.targets.kubernetes.storage import Storage
        from slipway.targets.kubernetes.target import KubernetesTarget

        environment, project = self.environment, self.config.project
        far = None if self.place is self.host else partial(borrowed, self.place, minikube_tool.PROFILE, self.closing)
        cluster = Cluster(Access(environment.context or minikube_tool.PROFILE, far))
        namespace = environment.namespace or project.name
        who = f"{getpass.getuser()}@{socket.gethostname()} (pid {os.getpid()})"
        where = Where(cluster, project.name, namespace, self.place, lambda say: self.brought("probe", say), who)
        storage = Storage(cluster, self.beside, minikube_tool.PROFILE, project.name, namespace)
        return KubernetesTarget(where, Probe(self._cluster_state), storage if environment.minikube else None)

    def _cluster_state(self) -> Any:
        from slipway.targets.kubernetes.release import State as ClusterState

        try:
            return self.cluster_target.read()
        except Problem as problem:
            if problem.code is not ExitCode.UNREACHABLE or not self.environment.minikube:
                raise
            node = self.beside.find(minikube_tool.PROFILE)
            if node is None:
                return ClusterState(down="there is no cluster")
            why = "the cluster's API does not answer" if node.running else "the cluster is stopped"
            return ClusterState(down=why, start=f"./invoke cluster.start --env {self.environment.name}")

    def delivery(self, say: Say, source: Daemon | None = None) -> Delivery:
        """How an image of `source` (default: this machine's Docker) gets to where the services run.

        Raises Problem where the environment names no registry.
        """
        source = source or self.daemon
        from slipway.targets.kubernetes.registry import Elsewhere, Nearby

        self.reachable()
        if self.environment.registry:
            return Elsewhere(source, self.environment.registry)
        return Nearby(source, self.place, self.beside, minikube_tool.PROFILE, self.provided("registry", say))

    def reachable(self) -> None:
        """Raise Problem where no image reaches the cluster: a context that names no registry, and no Minikube here."""
        environment = self.environment
        if not (environment.registry or environment.minikube or self._minikube_here):
            fix = f"registry: HOST/NAME in environments/{environment.name}.yaml"
            raise Problem(f"environment {environment.name} names no registry", fix=fix, code=ExitCode.USAGE)

    @cached_property
    def _minikube_here(self) -> bool:
        """Whether the context that is named is that of a Minikube on this machine's Docker."""
        return self.environment.context == minikube_tool.PROFILE and self.beside.find(minikube_tool.PROFILE) is not None

    def brought(self, name: str, say: Say) -> str:
        """An image that Slipway runs itself, brought to the cluster once: the reference by which a pod takes it."""
        with self._bringing:
            if name not in self._brought:
                image, repository = self.provided(name, say), f"{self.config.project.name}/slipway-{name}"
                self._brought[name] = self.delivery(say, self.beside).deliver(image, repository, "1", say)
            return self._brought[name]

    def part(self, name: str) -> str:
        """The tag of an image that Slipway runs itself: a bundle's, else its pinned reference's."""
        if self.state_there.facts().tagged(bundles.local(name)):
            return bundles.local(name)
        return bases.tag(name, self.config.images.parts[name])

    def provided(self, name: str, say: Say) -> str:
        """The tag of an image that Slipway runs itself, had by the place's Docker. Raises Problem if it can't be."""
        tag = self.part(name)
        if self.state_there.facts().tagged(tag) is None:
            reference = self.config.images.parts[name].upstream or ""
            self.beside.tag(self.beside.pull(reference, say), tag)
            self.state_there.forget()
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

    def spared(self, names: Sequence[str]) -> Unless:
        """Whether a deploy of `names` makes nothing of a service: it and all that need it are released as they are."""
        return lambda name: all(self.released(one) for one in names if one == name or name in self.config.needs(one))

    def docker_unless(self, unless: Unless, names: Sequence[str]) -> Probe[State | None]:
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

    def steady(self, name: str, digest: str) -> None:
        """Raise Problem where a service's sources are not those of `digest` any more: what was made is not of these."""
        if self._read(name).digest != digest:
            raise Problem(f"{name}: its sources changed while it was built", fix="run the same command again")

    def secrets(self, service: Service) -> dict[str, str]:
        """The values of a service's secrets; what is not kept yet is made up for this run, until step `secrets`."""
        kept = self.kept.facts()
        value = lambda place, how: kept.get(place) or self._draft(place, how)  # noqa: E731
        values = secret_sources.resolve(service, self.environment, self.config.services, value)
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
                self._drafts[place] = secret_sources.generate(how)
            return self._drafts[place]

    def unkept(self, names: Sequence[str], kept: Mapping[str, str]) -> dict[str, str]:
        """The generated secrets of services that are not kept yet, as this run made them up. Raises as `secrets`."""
        found = {}
        for name in names:
            service = self.service(name)
            self.secrets(service)
            for place, how in secret_sources.places(service, self.environment, self.config.services).items():
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
