"""The story: what `setup`, `build`, `image`, `smoke` and `deploy` consist of. Each returns its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slipway import machines
from slipway.build import base as bases
from slipway.build import image as images
from slipway.build import jar as jars
from slipway.build import source
from slipway.config.models import Config, Environment, Service
from slipway.errors import ExitCode, Problem, unknown
from slipway.here import Here, Sources
from slipway.hosts import ports as local_ports
from slipway.hosts.docker import LABEL, State
from slipway.hosts.host import prefix, titled
from slipway.smoke.step import ask
from slipway.steps import Change, Probe, Say, Step
from slipway.targets import secrets as secret_sources
from slipway.targets.container import OWNER, ROLE, holds, manifest, owner
from slipway.targets.target import Ask, Verdict
from slipway.targets.trial import Trials
from slipway.tools import bundle as bundles
from slipway.tools import docker as docker_tool
from slipway.tools import java as java_tool
from slipway.tools import minikube as minikube_tool

if TYPE_CHECKING:
    from slipway.targets.kubernetes.storage import Storage


def chosen(config: Config, names: str) -> list[str]:
    """The services behind `--service a,b` (default all), what they need first. Raises Problem for an unknown one."""
    asked = [name.strip() for name in names.split(",") if name.strip()] or sorted(config.services)
    strange = [name for name in asked if name not in config.services]
    if strange:
        raise unknown("service", strange, config.services)
    ordered = (need for name in asked for need in (*config.needs(name), name))
    return [name for name in dict.fromkeys(ordered) if name in asked]


def with_needs(config: Config, names: Sequence[str]) -> list[str]:
    """The services and all that they need, whose images a smoke test starts; what is needed comes first."""
    return chosen(config, ",".join((*names, *config.needs(*names))))


def setup(here: Here) -> Iterator[Step[Any]]:
    """What an environment's machine needs: Docker, a JDK and Leiningen to build; for a Minikube that too, running."""
    if here.place is here.host:
        yield from docker_tool.steps(here.host, here.config.tools.docker, here.daemon, bundle=here.bundle)
        if here.bundle and not here.environment.minikube:  # a Minikube gets all images of it, below
            engine, bases_of_it = (f"{prefix(here.host)}/docker/engine",), here.config.images.bases.__contains__
            yield from bundles.steps(here.bundle, here.host, here.daemon, here.state, engine, bases_of_it)
        if any(service.leiningen for service in here.config.services.values()):
            yield from java_tool.steps(here.host, here.config.tools, here.clojars)
    if here.environment.minikube:
        far = here.place is not here.host
        site = machines.Site(here.place, here.beside, here.state_there, here.environment.machine, here.bundle)
        tools = [*(machines.host(here.config, site) if far else machines.minikube(here.config, site))]
        yield from tools
        yield cluster(here, after=tuple(step.id for step in tools))


def cluster(here: Here, *, after: tuple[str, ...] = ()) -> Step[Any]:
    """The Minikube behind an environment, running."""

    def differs(facts: Any) -> Change | None:
        if facts.down and here.environment.minikube:
            minikube_tool.room(here.place.probe.facts(), here.environment.machine)
        minikube_tool.runtime(facts.runtimes, here.environment.machine)
        return Change(facts.down) if facts.down else None

    def start(say: Say) -> None:
        node = here.beside.find(minikube_tool.PROFILE)
        tags = {tag for image in here.state_there.facts().images for tag in image.tags}
        made = minikube_tool.context(here.place, say)
        minikube_tool.launch(here.place, here.environment.machine, tags, say, made=made, node=node is not None)
        here.cluster_target.cluster.forget()
        if node and (started := here.beside.find(minikube_tool.PROFILE)):
            here.cluster_target.resumed(started.started, say)

    title, stales = titled(here.place, f"cluster {minikube_tool.PROFILE}"), (here.state, here.state_there)
    return Step("cluster", title, here.live, differs, start, after, stales=stales)


Unless = Callable[[str], object]  # whether what a step makes of a service is not wanted after all


def never(_: str) -> bool:
    """See `Unless`."""
    return False


def spared(here: Here, names: Sequence[str]) -> Unless:
    """Whether a deploy of `names` makes nothing of a service: it and all that need it are released as they stand."""
    return lambda name: all(here.released(one) for one in names if one == name or name in here.config.needs(one))


def build(
    here: Here, names: Sequence[str], *, after: tuple[str, ...] = (), unless: Unless = never
) -> Iterator[Step[Any]]:
    """A jar per service."""
    for name in names:
        service = here.service(name)
        if service.leiningen:
            yield Step(
                id=f"{name}/jar",
                title=f"{name}: jar",
                probe=here.sources(name),
                check=lambda sources, name=name: jar_differs(sources, lambda: unless(name)),  # type: ignore[misc]
                apply=lambda say, name=name: _build(here, name, say),  # type: ignore[misc]
                after=after,
                lane=here.compilers,
            )


def jar_differs(sources: Sources, unwanted: Callable[[], object]) -> Change | None:
    """Why a jar must be built, or None."""
    return None if sources.jar or unwanted() else Change(f"no jar of these sources ({sources.digest[:8]})")


def _build(here: Here, name: str, say: Say) -> None:
    facts, tools = here.host.probe.facts(), here.config.tools
    kit = facts.jdk(tools.java.minimum)
    if kit is None or not facts.lein:
        what = "Leiningen" if kit else "a JDK with jlink"
        raise Problem(f"{what} is not on this machine", fix="./invoke setup", code=ExitCode.UNREACHABLE)
    profile = ""
    if facts.maven_repo and not here.clojars.facts():
        profile = tools.clojure.profile
        say.note(f"Clojars does not answer: profile {profile}, with this machine's packages")
    folder, digest = here.service(name).folder, here.sources(name).facts().digest
    jars.build(here.host, folder, digest, jars.Leiningen(kit.home, profile), say)


def image(
    here: Here, names: Sequence[str], *, after: tuple[str, ...] = (), unless: Unless = never
) -> Iterator[Step[Any]]:
    """An image per service, and the bases that they stand on."""
    built = (here.service(name) for name in names if not here.service(name).image)
    wanted = {s.base for s in built if images.stands_on_base(s.folder, s.dockerfile)}
    used = sorted(name for name in wanted if name in here.config.images.bases)
    for base in used:
        yield Step(
            id=f"base/{base}",
            title=f"base image {base}",
            probe=_docker(here, [name for name in names if here.service(name).base == base], unless),
            check=lambda state, base=base: base_differs(here, state, base, names),  # type: ignore[misc]
            apply=lambda say, base=base: _base(here, base, say),  # type: ignore[misc]
            after=after,
            stales=(here.state,),
        )
    for name in names:
        service = here.service(name)
        needed = (f"{name}/jar",) if service.leiningen else after
        yield Step(
            id=f"{name}/image",
            title=f"{name}: image",
            probe=_docker(here, [name], unless),
            check=lambda state, name=name: image_differs(here, state, name),  # type: ignore[misc]
            apply=lambda say, name=name: _image(here, name, say),  # type: ignore[misc]
            stales=(here.state,),
            after=(*needed, *((f"base/{service.base}",) if service.base in used else ())),
        )


def _docker(here: Here, names: Sequence[str], unless: Unless) -> Probe[State | None]:
    """What Docker here has; None, and not asked, where nothing is to be made of these services."""
    return Probe(lambda: None if all(unless(name) for name in names) else here.state.facts())


def base_differs(here: Here, state: State | None, base: str, names: Sequence[str]) -> Change | None:
    """Why a base must be had, or None: it is there, or every image that stands on it is."""
    if state is None or bases.present(state, base, here.config.images.bases[base]):
        return None
    if all(image_differs(here, state, name) is None for name in names if here.service(name).base == base):
        return None
    return Change("it is not on this Docker yet")


def image_differs(here: Here, state: State | None, name: str) -> Change | None:
    """Why an image must be built, or None."""
    digest = here.sources(name).facts().digest
    if state is None or images.present(state, here.config.project.name, name, digest):
        return None
    serving = state.container(here.names.container(name))
    old = serving.labels.get("slipway.source", "")[:8] if serving else ""
    return Change(f"sources changed ({old} → {digest[:8]})" if old else f"no image of these sources ({digest[:8]})")


def base(here: Here, name: str, say: Say) -> str:
    """The tag of a base that this machine's Docker has, or gets now: what a bundle saves."""
    made = here.config.images.bases[name]
    if not bases.present(here.state.facts(), name, made):
        _base(here, name, say)
        here.state.forget()
    return bases.tag(name, made)


def _base(here: Here, base: str, say: Say) -> None:
    facts, made = here.host.probe.facts(), here.config.images.bases[base]
    if here.state.facts().tagged(bundles.local(base)):
        here.daemon.tag(bundles.local(base), bases.tag(base, made))
        say.note(f"base {base} is the bundle's")
        return
    kit = facts.jdk(here.config.tools.java.minimum)
    bases.provide(here.host, here.daemon, facts, kit, base, made, say)


def _image(here: Here, name: str, say: Say) -> None:
    service, sources = here.service(name), here.sources(name).facts()
    project = here.config.project.name
    if service.image:
        images.take(here.daemon, service.image, project, name, service.version, sources.digest, say)
        return
    base = here.config.images.bases.get(service.base)
    made_up = secret_sources.resolve(
        service, Environment(name="image"), here.config.services, lambda _, how: secret_sources.generate(how)
    )
    recipe = images.Recipe(
        project=project,
        service=name,
        version=service.version,
        folder=service.folder,
        shared=service.shared,
        dockerfile=service.dockerfile,
        digest=sources.digest,
        jar=sources.jar,
        base=bases.tag(service.base, base) if base else service.base,
        platform=here.host.probe.facts().platform,
        env={**service.env, **made_up},
        trial={LABEL: project, ROLE: "smoke", OWNER: owner()},
    )
    images.build(here.daemon, recipe, say)


def secrets(here: Here, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Step[Any]:
    """Generated secrets: made once, kept with the environment."""

    def differs(kept: dict[str, str]) -> Change | None:
        new = here.unkept(names, kept)
        return Change(f"{', '.join(sorted(new))} must be generated") if new else None

    def make(say: Say) -> None:
        kept = here.kept.facts()
        say.note(here.target.keep({**here.unkept(names, kept), **kept}, say))

    return Step("secrets", "generated secrets", here.kept, differs, make, after, stales=(here.live,))


def smoke(here: Here, names: Sequence[str], *, always: bool = False, keep: bool = False) -> Iterator[Step[Any]]:
    """Each image run in a container, beside those that it needs, and checked. `always`: even when it passed before."""
    passed: set[str] = set()
    trials = Trials(
        here.daemon,
        here.names,
        lambda name: replace(here.wanted(name), image=here.built(name) or ""),
        here.config.needs,
        lambda: {name for name in names if always or not _smoked(here, name)},
        verify,
        here.host.run,
    )
    here.closing.callback(trials.close)
    for name in names:

        def differs(_: object, name: str = name) -> Change | None:
            if name in passed or (not always and _smoked(here, name)):
                return None
            return Change("asked for" if always else "this image and its settings were never checked")

        def run(say: Say, name: str = name) -> None:
            trials.run(name, say, keep=keep)
            here.daemon.tag(here.built(name) or "", _mark(here, name))
            passed.add(name)

        needs = here.config.needs(name)
        after = ("secrets", *(f"{one}/image" for one in (name, *needs)), *_each(needs, names, "smoke"))
        probe = here.state if always else _docker(here, [name], here.released)
        yield Step(f"{name}/smoke", f"{name}: smoke test", probe, differs, run, after, stales=(here.state,))


def _each(needs: Sequence[str], names: Sequence[str], step: str) -> tuple[str, ...]:
    """The ids of that step of those needs that are among `names`."""
    return tuple(f"{need}/{step}" for need in needs if need in names)


def _mark(here: Here, name: str) -> str:
    """The tag that an image gets when it passed its checks with these settings."""
    wanted = here.wanted(name)
    return f"{here.config.project.name}/{name}:ok-{wanted.source}-{manifest(wanted.service, wanted.secrets)}"


def _smoked(here: Here, name: str) -> bool:
    return bool(here.released(name)) or here.state.facts().tagged(_mark(here, name)) is not None


def deploy(here: Here, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Iterator[Step[Any]]:
    """Build, image, smoke, bring there, roll out, check live; each service behind those that it needs."""
    local, tried, unless = here.environment.local, with_needs(here.config, names), spared(here, names)
    if not local:
        yield cluster(here, after=after)
        yield namespace(here, after=("cluster",))
        yield platform(here, names, after=("cluster",))
        after = (*after, "namespace", "platform")
        if here.environment.minikube and any(here.service(name).autoscale for name in names):
            yield metrics(here)
        if here.cluster_target.storage and any(here.service(name).storage for name in names):
            yield storage(here, here.cluster_target.storage, names)
    if others := [need for need in here.config.needs(*names) if need not in names]:
        yield needed(here, names, others, after=after)
        after = (*after, "needs")
    yield secrets(here, names, after=after)
    if local:
        yield from ports(here, names, after=after)
    for name in tried:
        port = _each([name], names, "port") if local else ()
        yield from build(here, [name], after=(*after, *port), unless=lambda one: here.built(one) or unless(one))
    yield from image(here, tried, after=after, unless=unless)
    yield from smoke(here, names)
    if not local:
        yield from delivery(here, names)
    for name in names:
        minikube = not local and here.environment.minikube
        scaling = ("metrics",) if minikube and here.service(name).autoscale else ()
        volumes = ("storage",) if minikube and here.service(name).storage else ()
        needs = _each(here.service(name).needs, names, "release")
        yield Step(
            id=f"{name}/release",
            title=f"{name}: release",
            probe=here.live,
            check=lambda facts, name=name: release_differs(here, facts, name),  # type: ignore[misc]
            apply=lambda say, name=name: _release(here, name, say),  # type: ignore[misc]
            after=(f"{name}/smoke", f"{name}/port" if local else f"{name}/delivery", *needs, *scaling, *volumes),
        )


def needed(here: Here, names: Sequence[str], others: Sequence[str], *, after: tuple[str, ...]) -> Step[Any]:
    """What these services need and is not deployed now: it serves. There is nothing to mend, only to say."""

    def missing(_: object) -> None:
        absent = [other for other in others if here.target.serving(other) is None]
        if absent:
            lacking = {name: [need for need in here.config.needs(name) if need in absent] for name in names}
            who = "; ".join(f"{name} needs {' and '.join(needs)}" for name, needs in lacking.items() if needs)
            what = f"{who}, which {'are' if len(absent) > 1 else 'is'} not deployed in {here.environment.name}"
            fix = f"./invoke deploy, or ./invoke deploy --service {','.join(absent)}"
            raise Problem(what, fix=fix, code=ExitCode.UNREACHABLE)

    return Step("needs", f"what is needed: {', '.join(others)}", here.live, missing, lambda _: None, after)


def namespace(here: Here, *, after: tuple[str, ...] = ()) -> Step[Any]:
    """The project's namespace, which lets no pod have privileges (Pod Security Standard `restricted`)."""
    target = here.cluster_target

    def differs(facts: Any) -> Change | None:
        return None if facts.namespace else Change(f"there is no namespace {target.where.namespace}")

    return Step("namespace", f"namespace {target.where.namespace}", here.live, differs, target.settle, after)


def platform(here: Here, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Step[Any]:
    """Whether the nodes get and run what is built here. There is nothing to mend, only to say, before it is built."""
    target = here.cluster_target

    def fits(found: set[str] | None) -> None:
        mine = here.host.probe.facts().platform if found else ""
        if found and mine not in found:
            what = f"images built here are for {mine}, the cluster's nodes for {', '.join(sorted(found))}"
            raise Problem(what, fix="deploy from a machine like the nodes", code=ExitCode.USAGE)
        if any(here.released(name) is None for name in names):
            here.reachable()

    def there() -> set[str] | None:
        """The platforms that the nodes have; a Minikube has its machine's, so that only other clusters are asked."""
        if not here.environment.minikube:
            return target.platforms()
        return None if here.place is here.host else {here.place.probe.facts().platform}

    probe = Probe(there)
    return Step("platform", "the nodes' platform", probe, fits, lambda _: None, after)


def metrics(here: Here) -> Step[Any]:
    """The metrics that autoscaling reads, where a Minikube lacks them."""
    from slipway.targets.kubernetes import metrics as server

    def install(say: Say) -> None:
        server.install(here.cluster_target.cluster, here.brought("metrics-server", say), say)

    probe = Probe(lambda: server.read(here.cluster_target.cluster))
    return Step("metrics", "metrics for autoscaling", probe, server.differs, install, ("cluster",))


def storage(here: Here, volumes: Storage, names: Sequence[str]) -> Step[Any]:
    """The volumes that claims bind to, where a Minikube makes none by itself."""
    services = [here.service(name) for name in names if here.service(name).storage]

    def differs(facts: Any) -> Change | None:
        return volumes.differs(facts, services)

    probe = Probe(volumes.read)
    return Step("storage", "volumes", probe, differs, lambda say: volumes.provide(services, say), ("namespace",))


def delivery(here: Here, names: Sequence[str]) -> Iterator[Step[Any]]:
    """Each image brought to the cluster, missing layers only, and seen there before its rollout begins."""
    for name in names:

        def differs(_: object, name: str = name) -> Change | None:
            there = name in here.delivered or here.released(name)
            return None if there else Change("the cluster does not have this image")

        def bring(say: Say, name: str = name) -> None:
            place = f"{here.config.project.name}/{name}"
            digest = here.sources(name).facts().digest
            here.delivered[name] = here.delivery(say).deliver(here.built(name) or "", place, digest, say)

        after = (f"{name}/smoke",)
        probe = _docker(here, [name], here.released)
        yield Step(f"{name}/delivery", f"{name}: delivery", probe, differs, bring, after)


def release_differs(here: Here, facts: Any, name: str) -> Change | None:
    """Why what serves is not what is wanted, or None."""
    reason = here.target.differs(facts, here.wanted(name))
    return Change(reason) if reason else None


def _release(here: Here, name: str, say: Say) -> None:
    here.target.apply(here.wanted(name, commit=source.commit(here.host, here.config.root)), verify, say)


def verify(service: Service, urls: Mapping[str, str], ask_there: Ask, say: Say) -> Verdict:
    """A service's checks, asked at `targets.target.addresses` with the curl that `ask_there` reaches."""
    report = ask(ask_there, service.checks, urls, say)
    return Verdict(report.record, report.text)


def ports(here: Here, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Iterator[Step[Any]]:
    """Each service's own port of this machine: free, or its own container's. There is nothing to mend, only to say."""
    for name in names:
        yield Step(
            id=f"{name}/port",
            title=f"{name}: port {here.service(name).published}",
            probe=here.state,
            check=lambda state, name=name: port_taken(here, state, name),  # type: ignore[misc]
            apply=lambda _: None,
            after=after,
        )


def port_taken(here: Here, state: State, name: str) -> None:
    """Raise Problem if another process holds the service's port."""
    port = here.service(name).published
    if not any(holds(container, name, port) for container in state.containers):
        taken = {service.published for service in here.config.services.values()}
        local_ports.free_or_told(name, port, taken)
