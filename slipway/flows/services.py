"""What each service is in one run: its settings, sources, secrets and manifest, resolved once and passed down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Generic, TypeVar

from slipway.config.models import Config, Environment, Service
from slipway.deployers.deployer import Deployer, DesiredRelease
from slipway.engine.steps import Probe
from slipway.flows.secrets import SecretValues
from slipway.hosts.this_user import who
from slipway.images import base_images, leiningen_project
from slipway.images.build_context import context_files
from slipway.images.git_files import ListFiles, UnignoredFiles, unignored_files
from slipway.images.leiningen_project import Project
from slipway.images.source_digest import digest, source_files
from slipway.images.sources import Sources, changed_meanwhile, find_jar

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
            raise changed_meanwhile(self.name)


def resolve(
    config: Config, environment: Environment, deployer: Deployer[Any, M], secrets: SecretValues[Any]
) -> dict[str, ResolvedService[M]]:
    """All services as one environment wants them, by name; each is read when it is first asked for."""
    settings = [config.service_for(environment, name) for name in config.services]
    known = UnignoredFiles(folder for one in settings for folder in (one.folder, *one.shared))
    return {one.name: _resolved(config, deployer, secrets, one, known) for one in settings}


def _resolved(
    config: Config, deployer: Deployer[Any, M], secrets: SecretValues[Any], settings: Service, known: UnignoredFiles
) -> ResolvedService[M]:
    listings: Iterator[ListFiles] = chain((known,), repeat(unignored_files))  # behind a build, Git is asked anew
    read = partial(_sources, config, settings)

    def sources_now() -> Sources:
        return read(next(listings))

    sources = Probe(sources_now)

    def release() -> DesiredRelease[M]:
        values = secrets.of(settings)
        return DesiredRelease(settings, sources.facts().digest, values, deployer.render(settings, values), who())

    return ResolvedService(settings, config.needs(settings.name), sources, Probe(release), read)


def _sources(config: Config, service: Service, list_files: ListFiles = unignored_files) -> Sources:
    folder, base = service.folder, config.images.bases.get(service.base)
    project = leiningen_project.recorded(folder) if service.leiningen else None
    settings = (_made_by(service), service.dockerfile, base_images.identity(base) if base else service.base)
    files = _files(service, project, list_files)
    name = digest(folder, settings, files)
    maker = service.builder or project
    jar = find_jar(folder, name, folder / maker.jar if maker else None) if service.has_jar else None
    return Sources(name, jar, folder, tuple(files))


def _made_by(service: Service) -> str:
    if service.builder:
        return repr((service.builder.run, service.builder.jar))
    return service.image or ("lein" if service.leiningen else "False")  # a word of earlier versions: it is in digests


def _files(service: Service, project: Project | None = None, list_files: ListFiles = unignored_files) -> list[Path]:
    """What a service's jar and image are made from; of one that others built, what comes with it.

    `project` is what Leiningen has said of it.
    """
    folder, shared = service.folder, service.shared
    if service.image:
        return source_files(folder, *shared, list_files=list_files)
    if not service.has_jar:
        return [*context_files(folder, service.dockerfile, list_files), *source_files(*shared, list_files=list_files)]
    of_docker = (service.dockerfile, f"{service.dockerfile}.dockerignore", ".dockerignore")
    named = [folder / name for name in of_docker]
    if builder := service.builder:
        inputs = [folder / path for path in builder.inputs]
        all_of_it = [folder] if not inputs or folder in inputs else []
        named += [*inputs, *([folder / service.config] if service.config else [])]
        written = [folder / builder.output]
        return source_files(*all_of_it, *shared, named=named, generated=written, list_files=list_files)
    named += leiningen_project.inputs(folder, project, shared)
    generated = [folder / path for path in project.generated] if project else []
    paths = (folder, *shared, *leiningen_project.checkouts(folder))
    return source_files(*paths, named=named, generated=generated, list_files=list_files)


AnyService = ResolvedService[Any]
Services = Mapping[str, AnyService]
