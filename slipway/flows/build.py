"""How a service becomes a jar and an image; the steps of `build` and `image`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.config.builder import Builder
from slipway.config.models import Config, Environment
from slipway.config.versions import Base, Tools
from slipway.docker.labels import LABEL, OWNER, ROLE, owner
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Step
from slipway.errors import NextCommand, Unreachable
from slipway.flows.artifacts import Skip, never
from slipway.flows.services import AnyService
from slipway.flows.workspace import BuildMachine, Workspace
from slipway.images import base_images
from slipway.images import image as images
from slipway.images.build_context import build_context
from slipway.images.dockerfile import uses_base_argument
from slipway.images.sources import Sources
from slipway.secrets.resolution import resolve

Needed = Mapping[str, tuple[str, ...]]  # by service, the ids of nodes that its image waits for
Prepare = Callable[[AnyService], None]


def nothing(_: AnyService) -> None:
    """What is to be prepared for the image of a service, where nothing is."""


def build(
    work: Workspace,
    services: Sequence[AnyService],
    *,
    after: tuple[str, ...] = (),
    skip: Skip = never,
    prepare: Prepare = nothing,
) -> Iterator[AnyNode]:
    """A jar for each service that is built of one. `prepare` is called as soon as one is going to be."""
    for service in services:
        if service.settings.has_jar:
            yield _build_jar(work, service, after, skip, prepare)


def _build_jar(work: Workspace, service: AnyService, after: tuple[str, ...], skip: Skip, prepare: Prepare) -> BuildJar:
    builder = service.settings.builder
    step = partial(BuildByCommand, builder=builder) if builder else BuildByLeiningen
    return step(
        group=service.name,
        name="jar",
        title=f"{service.name}: jar",
        probe=service.sources,
        after=after,
        limit=work.build.compilers,
        invalidates=(service.release,),  # its digest is another one, where Leiningen says what else it reads
        service=service,
        machine=work.build,
        tools=work.config.tools,
        skip=skip,
        prepare=prepare,
    )


def image(
    work: Workspace,
    services: Sequence[AnyService],
    *,
    after: tuple[str, ...] = (),
    needed: Needed | None = None,
    skip: Skip = never,
) -> Iterator[AnyNode]:
    """An image for each service, behind what it needs, and the base images that they are built on."""
    built = [service.settings for service in services if service.settings.image is None]
    used = {service.base for service in built if uses_base_argument(service.folder / service.dockerfile)}
    bases = sorted(base for base in used if base in work.config.images.bases)
    for base in bases:
        users = tuple(service for service in services if service.settings.base == base)
        yield ProvideBase(
            group="base",
            name=base,
            title=f"base image {base}",
            probe=work.docker_if_needed(skip, users),
            after=after,
            invalidates=(work.build.state,),
            work=work,
            users=users,
        )
    for service in services:
        name, settings = service.name, service.settings
        jar = (f"{name}/jar",) if settings.has_jar else (*after, *(needed or {}).get(name, ()))
        base_image = (f"base/{settings.base}",) if settings.base in bases else ()
        yield BuildImage(
            group=name,
            name="image",
            title=f"{name}: image",
            probe=work.docker_if_needed(skip, (service,)),
            after=(*jar, *base_image),
            invalidates=(work.build.state,),
            service=service,
            work=work,
        )


@dataclass(frozen=True, kw_only=True)
class BuildJar(Step[Sources]):
    """A service's jar."""

    service: AnyService
    machine: BuildMachine
    tools: Tools
    skip: Skip
    prepare: Prepare

    def check(self, facts: Sources) -> Change | None:
        """Whether there is a jar of these sources, or none is needed."""
        return None if facts.jar or self.skip(self.service) else Change(f"no jar of these sources ({facts.digest[:8]})")


@dataclass(frozen=True, kw_only=True)
class BuildByLeiningen(BuildJar):
    """A service's jar, by `lein uberjar`."""

    def apply(self, report: Reporter) -> None:
        """Run Leiningen with the machine's JDK, offline from Clojars where that does not answer."""
        from slipway.images import leiningen  # here, since most runs build nothing

        self.prepare(self.service)
        machine, tools = self.machine, self.tools
        facts = machine.probe.facts()
        kit = facts.jdk(tools.java.minimum)
        if kit is None or not facts.lein:
            lacking = "Leiningen" if kit else "a JDK with jlink"
            raise Unreachable(f"{lacking} is not on this machine", commands=[NextCommand("setup")])
        profile = tools.clojure.profile if facts.maven_repo else ""
        lein = leiningen.Leiningen(kit.home, profile, machine.reuse, machine.later, partial(self._is_offline, report))
        leiningen.build(machine.host, self.service.settings.folder, lein, report, self.service.read)

    def _is_offline(self, report: Reporter) -> bool:
        if self.machine.clojars.facts():
            return False
        report.note(f"Clojars does not answer: profile {self.tools.clojure.profile}, with this machine's packages")
        return True


@dataclass(frozen=True, kw_only=True)
class BuildByCommand(BuildJar):
    """A service's jar, by the builder that its service.yaml names."""

    builder: Builder

    def apply(self, report: Reporter) -> None:
        """Run the builder."""
        from slipway.images import builder as builders  # here, since most runs build nothing

        self.prepare(self.service)
        host = self.machine.host
        kit = self.machine.probe.facts().jdk(self.tools.java.minimum)
        folder, java_home = self.service.settings.folder, kit.home if kit else ""
        builders.build(host, folder, self.builder, java_home, report, self.service.read)


@dataclass(frozen=True, kw_only=True)
class ProvideBase(Step[State | None]):
    """A base image, for the services that are built on it."""

    work: Workspace
    users: tuple[AnyService, ...]

    def check(self, facts: State | None) -> Change | None:
        """Whether it is there, or every image that is built on it is."""
        base = self.work.config.images.bases[self.name]
        if facts is None or base_images.is_present(facts, self.name, base):
            return None
        if all(self.work.artifacts.image_differs(facts, user) is None for user in self.users):
            return None
        return Change("it is not on this Docker yet")

    def apply(self, report: Reporter) -> None:
        """Take the bundle's, pull the pinned one, or make it by its recipe."""
        config = self.work.config
        provide_base(self.work.build, config, self.name, config.images.bases[self.name], report)


@dataclass(frozen=True, kw_only=True)
class BuildImage(Step[State | None]):
    """A service's image."""

    service: AnyService
    work: Workspace

    def check(self, facts: State | None) -> Change | None:
        """Whether there is an image of these sources, or none is needed."""
        reason = self.work.artifacts.image_differs(facts, self.service) if facts else None
        return Change(reason) if reason else None

    def apply(self, report: Reporter) -> None:
        """Build it, or take the one that the service names."""
        work, name, service, sources = self.work, self.group, self.service.settings, self.service.sources.facts()
        project, docker = work.config.project.name, work.build.docker
        if service.image:
            images.tag_prebuilt(docker, service.image, project, name, service.version, sources.digest, report)
            return
        base = work.config.images.bases.get(service.base)
        environment, services = Environment(name="local"), work.config.services
        made_up = resolve(service, environment, services, lambda _, how: how.new_value())
        content = build_context(service.folder, service.dockerfile, sources.digest, sources.jar, sources.files)
        self.service.ensure_sources_unchanged(sources.digest)
        recipe = images.ImageBuild(
            project=project,
            service=name,
            version=service.version,
            context=content,
            dockerfile=service.dockerfile,
            digest=sources.digest,
            base=base_images.tag(service.base, base) if base else service.base,
            platform=work.build.probe.facts().platform,
            env={**service.env, **made_up},
            container_labels={LABEL: project, ROLE: "smoke", OWNER: owner()},
        )
        images.build(docker, recipe, work.build.archives, report)


def provide_base(machine: BuildMachine, config: Config, name: str, base: Base, report: Reporter) -> str:
    """The tag of a base image that the build machine has from now on: a bundle's, a pinned one, or made here."""
    from slipway.images import base_recipes  # here, since most runs provide nothing
    from slipway.installers import bundle

    tag = base_images.tag(name, base)
    state = machine.state.facts()
    if base_images.is_present(state, name, base):
        return tag
    if state.tagged(bundle.image_tag(name)):
        machine.docker.images.tag(bundle.image_tag(name), tag)
        report.note(f"base {name} is the bundle's")
    else:
        facts = machine.host.probe.facts()
        kit = facts.jdk(config.tools.java.minimum)
        base_recipes.provide(machine.host, machine.docker, facts, kit, name, base, report)
    machine.state.forget()
    return tag
