"""What each service is in one run: its settings, sources, secrets and manifest, resolved once and passed down."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from slipway.config.models import Config, Environment, Service
from slipway.deployers.deployer import Deployer, DesiredRelease
from slipway.engine.steps import Probe
from slipway.errors import Problem
from slipway.flows.secrets import SecretValues
from slipway.hosts.this_user import user_name
from slipway.images import base_images, jar, leiningen_project
from slipway.images.build_context import context_files
from slipway.images.leiningen_project import Project
from slipway.images.source_digest import digest, source_files
from slipway.images.sources import Sources

M = TypeVar("M")


@dataclass(frozen=True)
class ResolvedService(Generic[M]):
    """One service of a run. `needs` are the names of all that it needs, what they need first.

    `sources` are read anew behind a build, `release` behind new secrets: what a deploy of these sources wants to run,
    without its image.
    """

    settings: Service
    needs: tuple[str, ...]
    sources: Probe[Sources]
    release: Probe[DesiredRelease[M]]
    read: Callable[[], Sources]

    @property
    def name(self) -> str:
        """The service's name."""
        return self.settings.name

    def ensure_sources_unchanged(self, digest: str) -> None:
        """Raise Problem where the sources are not those of `digest` any more: what was made is not of these."""
        if self.read().digest != digest:
            raise Problem(f"{self.name}: its sources changed while it was built", hint="run the same command again")


def resolve(
    config: Config, environment: Environment, deployer: Deployer[Any, M], secrets: SecretValues[Any]
) -> dict[str, ResolvedService[M]]:
    """All services as one environment wants them, by name; each is read when it is first asked for."""
    return {name: _resolved(config, environment, deployer, secrets, name) for name in config.services}


def _resolved(
    config: Config, environment: Environment, deployer: Deployer[Any, M], secrets: SecretValues[Any], name: str
) -> ResolvedService[M]:
    settings = config.service_for(environment, name)
    read = partial(_sources, config, settings)
    sources = Probe(read)

    def release() -> DesiredRelease[M]:
        values = secrets.of(settings)
        who = f"{user_name()}@{socket.gethostname()}"
        return DesiredRelease(settings, sources.facts().digest, values, deployer.render(settings, values), who)

    return ResolvedService(settings, config.needs(name), sources, Probe(release), read)


def _sources(config: Config, service: Service) -> Sources:
    folder, base = service.folder, config.images.bases.get(service.base)
    made = service.image or ("lein" if service.leiningen else "False")
    settings = (made, service.dockerfile, base_images.identity(base) if base else service.base)
    project = leiningen_project.recorded(folder) if service.leiningen else None
    files = _files(service, project)
    name = digest(folder, settings, files)
    found = jar.find(folder, name, folder / project.jar if project else None)
    return Sources(name, found, folder, tuple(files))


def _files(service: Service, project: Project | None = None) -> list[Path]:
    """What a service's jar and image are made from; of one that others built, what comes with it.

    `project` is what Leiningen has said of it.
    """
    folder, shared, dockerfile = service.folder, service.shared, service.folder / service.dockerfile
    if service.leiningen:
        checkouts = leiningen_project.checkouts(folder)
        named = [dockerfile, *leiningen_project.inputs(folder, project, shared)]
        generated = [folder / path for path in project.generated] if project else []
        return source_files(folder, *shared, *checkouts, named=named, generated=generated)
    if service.image:
        return source_files(folder, *shared)
    return [*context_files(folder, service.dockerfile), *source_files(*shared)]


AnyService = ResolvedService[Any]
Services = Mapping[str, AnyService]
