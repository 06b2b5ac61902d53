"""What each service is in one run: its settings, sources, secrets and manifest, resolved once."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from slipway.config.models import Config, Environment, Service
from slipway.deployers.deployer import Deployer, DesiredRelease
from slipway.engine.steps import Probe
from slipway.errors import Problem
from slipway.flows.secrets import SecretValues
from slipway.images import base_images, jar, source_digest

M = TypeVar("M")


@dataclass(frozen=True)
class Sources:
    """A service's sources as they stand: their digest, and the jar made from them if it is there."""

    digest: str
    jar: Path | None


@dataclass(frozen=True)
class Services(Generic[M]):
    """The services of one environment, each read when it is first asked for."""

    config: Config
    environment: Environment
    deployer: Deployer[Any, M]
    secrets: SecretValues[Any]
    _sources: Mapping[str, Probe[Sources]] = field(init=False)
    _desired: Mapping[str, Probe[DesiredRelease[M]]] = field(init=False)

    def __post_init__(self) -> None:
        names = self.config.services
        object.__setattr__(self, "_sources", {name: Probe(partial(self._read, name)) for name in names})
        object.__setattr__(self, "_desired", {name: Probe(partial(self._resolve, name)) for name in names})

    def model(self, name: str) -> Service:
        """A service as this environment wants it."""
        return self.config.service_for(self.environment, name)

    def sources(self, name: str) -> Probe[Sources]:
        """A service's sources and jar."""
        return self._sources[name]

    def _read(self, name: str) -> Sources:
        service = self.model(name)
        base = self.config.images.bases.get(service.base)
        made = service.image or str(service.leiningen)
        settings = (made, service.dockerfile, base_images.identity(base) if base else service.base)
        digest = source_digest.digest(service.folder, settings, service.shared)
        return Sources(digest, jar.found(service.folder, digest))

    def ensure_sources_unchanged(self, name: str, digest: str) -> None:
        """Raise Problem where a service's sources are not those of `digest` any more: what was made is not of these."""
        if self._read(name).digest != digest:
            raise Problem(f"{name}: its sources changed while it was built", hint="run the same command again")

    def desired(self, name: str) -> DesiredRelease[M]:
        """The release that a deploy of the sources as they stand wants, without its image."""
        return self._desired[name].facts()

    def _resolve(self, name: str) -> DesiredRelease[M]:
        service = self.model(name)
        secrets = self.secrets.of(service)
        manifest = self.deployer.render(service, secrets)
        who = f"{getpass.getuser()}@{socket.gethostname()}"
        return DesiredRelease(service, self.sources(name).facts().digest, secrets, manifest, who)

    @property
    def resolutions(self) -> tuple[Probe[DesiredRelease[M]], ...]:
        """What must be resolved anew when stored secrets have changed."""
        return tuple(self._desired.values())
