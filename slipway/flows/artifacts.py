"""The chapter of the story that is the same wherever services run: jars, images, smoke tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway.checks.runner import run_checks
from slipway.config.models import Environment, Service
from slipway.deployers.deployer import Ask, Verdict
from slipway.deployers.docker.container import OWNER, ROLE, SOURCE, manifest, owner
from slipway.deployers.docker.smoke_test import SmokeTestRun
from slipway.docker.protocols import LABEL, State
from slipway.engine.steps import Change, Reporter, Step, function_step
from slipway.errors import Unreachable
from slipway.flows.workspace import SkipPolicy, Sources, Workspace, never
from slipway.images import base_images as bases
from slipway.images import image as images
from slipway.images import jar as jars
from slipway.installers import bundle as bundles
from slipway.secrets.resolution import resolve


def build(
    here: Workspace, names: Sequence[str], *, after: tuple[str, ...] = (), unless: SkipPolicy = never
) -> Iterator[Step[Any]]:
    """A jar per service that Leiningen builds."""
    for name in names:
        if here.service(name).leiningen:
            yield jar(here, name, after=after, unless=unless)


def jar(here: Workspace, name: str, *, after: tuple[str, ...], unless: SkipPolicy) -> Step[Sources]:
    """A service's jar."""
    return function_step(
        id=f"{name}/jar",
        title=f"{name}: jar",
        probe=here.sources(name),
        check=lambda sources: jar_differs(sources, lambda: unless(name)),
        apply=lambda report: _build(here, name, report),
        after=after,
        lane=here.compilers,
    )


def jar_differs(sources: Sources, unwanted: Callable[[], object]) -> Change | None:
    """Why a jar must be built, or None."""
    return None if sources.jar or unwanted() else Change(f"no jar of these sources ({sources.digest[:8]})")


def _build(here: Workspace, name: str, report: Reporter) -> None:
    facts, tools = here.host.probe.facts(), here.config.tools
    kit = facts.jdk(tools.java.minimum)
    if kit is None or not facts.lein:
        summary = "Leiningen" if kit else "a JDK with jlink"
        raise Unreachable(f"{summary} is not on this machine", hint="./invoke setup")
    profile = ""
    if facts.maven_repo and not here.clojars.facts():
        profile = tools.clojure.profile
        report.note(f"Clojars does not answer: profile {profile}, with this machine's packages")
    folder, digest = here.service(name).folder, here.sources(name).facts().digest
    lein, ensure_sources_unchanged = (
        jars.Leiningen(kit.home, profile),
        lambda: here.ensure_sources_unchanged(name, digest),
    )
    jars.build(here.host, folder, digest, lein, report, ensure_sources_unchanged)


def image(
    here: Workspace,
    names: Sequence[str],
    *,
    after: tuple[str, ...] = (),
    own: Mapping[str, tuple[str, ...]] | None = None,
    unless: SkipPolicy = never,
) -> Iterator[Step[Any]]:
    """An image per service, behind its `own` steps, and the bases that they stand on."""
    built = (here.service(name) for name in names if not here.service(name).image)
    wanted = {s.base for s in built if images.stands_on_base(s.folder, s.dockerfile)}
    used = sorted(name for name in wanted if name in here.config.images.bases)
    for base in used:
        yield base_of(here, base, names, after=after, unless=unless)
    for name in names:
        service = here.service(name)
        needed = (f"{name}/jar",) if service.leiningen else (*after, *(own or {}).get(name, ()))
        stands = (f"base/{service.base}",) if service.base in used else ()
        yield image_of(here, name, after=(*needed, *stands), unless=unless)


def base_of(
    here: Workspace, base: str, names: Sequence[str], *, after: tuple[str, ...], unless: SkipPolicy
) -> Step[State | None]:
    """A base image, for those of the services that stand on it."""
    return function_step(
        id=f"base/{base}",
        title=f"base image {base}",
        probe=here.docker_if_needed(unless, [name for name in names if here.service(name).base == base]),
        check=lambda state: base_differs(here, state, base, names),
        apply=lambda report: _base(here, base, report),
        after=after,
        invalidates=(here.state,),
    )


def image_of(here: Workspace, name: str, *, after: tuple[str, ...], unless: SkipPolicy) -> Step[State | None]:
    """A service's image."""
    return function_step(
        id=f"{name}/image",
        title=f"{name}: image",
        probe=here.docker_if_needed(unless, [name]),
        check=lambda state: image_differs(here, state, name),
        apply=lambda report: _image(here, name, report),
        after=after,
        invalidates=(here.state,),
    )


def base_differs(here: Workspace, state: State | None, base: str, names: Sequence[str]) -> Change | None:
    """Why a base must be had, or None: it is there, or every image that stands on it is."""
    if state is None or bases.present(state, base, here.config.images.bases[base]):
        return None
    if all(image_differs(here, state, name) is None for name in names if here.service(name).base == base):
        return None
    return Change("it is not on this Docker yet")


def image_differs(here: Workspace, state: State | None, name: str) -> Change | None:
    """Why an image must be built, or None."""
    digest = here.sources(name).facts().digest
    if state is None or images.present(state, here.config.project.name, name, digest):
        return None
    serving = state.container(here.names.container(name))
    old = serving.labels.get(SOURCE, "")[:8] if serving else ""
    return Change(f"sources changed ({old} → {digest[:8]})" if old else f"no image of these sources ({digest[:8]})")


def base(here: Workspace, name: str, report: Reporter) -> str:
    """The tag of a base that this machine's Docker has, or gets now: what a bundle saves."""
    made = here.config.images.bases[name]
    if not bases.present(here.state.facts(), name, made):
        _base(here, name, report)
        here.state.forget()
    return bases.tag(name, made)


def _base(here: Workspace, base: str, report: Reporter) -> None:
    facts, made = here.host.probe.facts(), here.config.images.bases[base]
    if here.state.facts().tagged(bundles.local(base)):
        here.daemon.tag(bundles.local(base), bases.tag(base, made))
        report.note(f"base {base} is the bundle's")
        return
    kit = facts.jdk(here.config.tools.java.minimum)
    bases.provide(here.host, here.daemon, facts, kit, base, made, report)


def _image(here: Workspace, name: str, report: Reporter) -> None:
    service, sources = here.service(name), here.sources(name).facts()
    project = here.config.project.name
    if service.image:
        images.take(here.daemon, service.image, project, name, service.version, sources.digest, report)
        return
    base = here.config.images.bases.get(service.base)
    made_up = resolve(service, Environment(name="image"), here.config.services, lambda _, how: how.new_value())
    content = images.context(service.folder, service.dockerfile, sources.digest, sources.jar, service.shared)
    instructions = (service.folder / service.dockerfile).read_text()
    here.ensure_sources_unchanged(name, sources.digest)
    recipe = images.Recipe(
        project=project,
        service=name,
        version=service.version,
        context=content,
        dockerfile=service.dockerfile,
        instructions=instructions,
        digest=sources.digest,
        base=bases.tag(service.base, base) if base else service.base,
        platform=here.host.probe.facts().platform,
        env={**service.env, **made_up},
        trial={LABEL: project, ROLE: "smoke", OWNER: owner()},
    )
    images.build(here.daemon, recipe, report)


def smoke(
    here: Workspace,
    names: Sequence[str],
    *,
    always: bool = False,
    keep: bool = False,
    details: Callable[[str], str | None] = lambda _: None,
) -> Iterator[Step[Any]]:
    """Each image run in a container, beside those that it needs, and checked. `always`: even when it passed before.

    `why` is how a service differs from what serves, where that is known.
    """
    passed: set[str] = set()
    trials = SmokeTestRun(
        here.daemon,
        here.names,
        lambda name: replace(here.wanted(name), image=here.built(name) or ""),
        here.config.needs,
        lambda: {name for name in names if always or not _smoked(here, name)},
        verify,
        here.host.run,
    )
    here.closing.callback(trials.close)

    def one(name: str) -> Step[Any]:
        def differs(_: object) -> Change | None:
            if name in passed or (not always and _smoked(here, name)):
                return None
            if always:
                return Change("asked for")
            return Change(": ".join(filter(None, ("this image and its settings were never checked", details(name)))))

        def run(report: Reporter) -> None:
            trials.run(name, report, keep=keep)
            here.daemon.tag(here.built(name) or "", _mark(here, name))
            passed.add(name)

        needs = here.config.needs(name)
        after = ("secrets", *(f"{one}/image" for one in (name, *needs)), *each(needs, names, "smoke"))
        probe = here.state if always else here.docker_if_needed(here.released, [name])
        return function_step(
            f"{name}/smoke", f"{name}: smoke test", probe, differs, run, after, invalidates=(here.state,)
        )

    yield from map(one, names)


def each(needs: Sequence[str], names: Sequence[str], step: str) -> tuple[str, ...]:
    """The ids of that step of those needs that are among `names`."""
    return tuple(f"{need}/{step}" for need in needs if need in names)


def _mark(here: Workspace, name: str) -> str:
    """The tag that an image gets when it passed its checks with these settings."""
    wanted = here.wanted(name)
    return f"{here.config.project.name}/{name}:ok-{wanted.source}-{manifest(wanted.service, wanted.secrets)}"


def _smoked(here: Workspace, name: str) -> bool:
    return bool(here.released(name)) or here.state.facts().tagged(_mark(here, name)) is not None


def verify(service: Service, urls: Mapping[str, str], ask_there: Ask, report: Reporter) -> Verdict:
    """A service's checks, asked at `targets.target.addresses` with the curl that `ask_there` reaches."""
    outcome = run_checks(ask_there, service.checks, urls, report)
    return Verdict(outcome.record, outcome.text)
