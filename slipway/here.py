"""One machine, its Docker and the services of an environment, as every flow sees them: facts read once, when asked."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from slipway.build import base as bases
from slipway.build import image as images
from slipway.build import jar as jars
from slipway.build import source
from slipway.config.models import Config, Environment, Service
from slipway.hosts.docker import Daemon, State
from slipway.hosts.host import Host
from slipway.steps import Probe
from slipway.targets import secrets as secret_sources
from slipway.targets.container import Names
from slipway.targets.docker import DockerTarget
from slipway.targets.records import SecretStore
from slipway.targets.target import Wanted
from slipway.tools import java as java_tool


@dataclass(frozen=True)
class Sources:
    """A service's sources as they stand: their digest, and the jar made from them if it is there."""

    digest: str
    jar: Path | None


@dataclass
class Here:
    """One machine and its Docker, as the flows of environment `local` see them. `mask` hears every secret first."""

    config: Config
    environment: Environment
    host: Host
    daemon: Daemon
    mask: Callable[[Sequence[str]], None]
    closing: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def names(self) -> Names:
        """What things are called."""
        return Names(self.config.project.name, self.config.project.short)

    @cached_property
    def state(self) -> Probe[State]:
        """What the daemon has."""
        return Probe(lambda: self.daemon.state(self.config.project.name))

    @cached_property
    def clojars(self) -> Probe[bool]:
        """Whether Clojars answers; asked only where it decides something."""
        return Probe(lambda: java_tool.reachable(self.host.probe.facts()))

    @cached_property
    def store(self) -> SecretStore:
        """Generated secrets."""
        return SecretStore(self.daemon, self.names)

    @cached_property
    def kept(self) -> Probe[dict[str, str]]:
        """The generated secrets that there are, all masked."""
        return Probe(self._kept)

    def _kept(self) -> dict[str, str]:
        values = self.store.read(self.state.facts())
        self.mask(list(values.values()))
        return values

    @cached_property
    def target(self) -> DockerTarget:
        """Where the services run."""
        return DockerTarget(self.daemon, self.names, self.state)

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
        settings = (str(service.leiningen), service.dockerfile, bases.identity(base) if base else service.base)
        digest = source.digest(service.folder, settings)
        return Sources(digest, jars.found(service.folder, digest))

    def secrets(self, service: Service) -> dict[str, str]:
        """The values of a service's secrets, generated in memory where they are not kept yet."""
        values = secret_sources.resolve(service, self.environment, self.kept.facts(), self.config.services)
        self.mask(list(values.values()))
        return values

    def wanted(self, name: str, *, commit: str = "") -> Wanted:
        """What a deploy of the sources as they stand wants to serve."""
        service, sources = self.service(name), self.sources(name).facts()
        image = images.present(self.state.facts(), self.config.project.name, name, sources.digest)
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        return Wanted(service, image.id if image else "", sources.digest, self.secrets(service), who, commit)
