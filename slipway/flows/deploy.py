"""The story: what `setup`, `build`, `image`, `smoke` and `deploy` consist of. Each returns its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slipway.config.models import Config
from slipway.deployers.docker.container import holds
from slipway.docker import ports as local_ports
from slipway.docker.protocols import State
from slipway.engine.steps import Change, Reporter, Step, function_step
from slipway.errors import Unreachable, unknown_name
from slipway.flows import clusters
from slipway.flows import hosts as machines
from slipway.flows.artifacts import build, each, image, smoke, verify
from slipway.flows.workspace import Workspace
from slipway.hosts.host import step_prefix
from slipway.images import source_digest as source
from slipway.installers import bundle as bundles
from slipway.installers import curl as curl_tool
from slipway.installers import docker as docker_tool
from slipway.installers import java as java_tool
from slipway.installers import minikube as minikube_tool

__all__ = ["build", "chosen", "deploy", "image", "secrets", "setup", "smoke", "verify", "with_needs"]


def chosen(config: Config, names: str) -> list[str]:
    """The services behind `--service a,b` (default all), what they need first. Raises Problem for an unknown one."""
    asked = [name.strip() for name in names.split(",") if name.strip()] or sorted(config.services)
    strange = [name for name in asked if name not in config.services]
    if strange:
        raise unknown_name("service", strange, config.services)
    ordered = (need for name in asked for need in (*config.needs(name), name))
    return [name for name in dict.fromkeys(ordered) if name in asked]


def with_needs(config: Config, names: Sequence[str]) -> list[str]:
    """The services and all that they need, whose images a smoke test starts; what is needed comes first."""
    return chosen(config, ",".join((*names, *config.needs(*names))))


def setup(here: Workspace) -> Iterator[Step[Any]]:
    """What an environment's machine needs: curl, Docker, a JDK and Leiningen; for a Minikube that too, running."""
    if here.run_host is here.host:
        yield from curl_tool.steps(here.host)
        yield from docker_tool.steps(here.host, here.config.tools.docker, here.daemon, bundle=here.bundle)
        if here.bundle and not here.environment.minikube:  # a Minikube gets all images of it, below
            engine, bases_of_it = (f"{step_prefix(here.host)}/docker/engine",), here.config.images.bases.__contains__
            yield from bundles.steps(here.bundle, here.host, here.daemon, here.state, engine, bases_of_it)
        if any(service.leiningen for service in here.config.services.values()):
            yield from java_tool.steps(here.host, here.config.tools, here.clojars)
    if here.environment.minikube:
        far = here.run_host is not here.host
        site = machines.HostTarget(
            here.run_host, here.run_docker, here.run_docker_state, here.environment.cluster_spec, here.bundle
        )
        tools = [*(machines.host(here.config, site) if far else machines.minikube(here.config, site))]
        yield from tools
        yield clusters.cluster(here, after=tuple(step.id for step in tools))
    elif here.environment.context:
        yield from minikube_tool.kubectl(here.host, here.config.tools, here.bundle)


def deploy(here: Workspace, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Iterator[Step[Any]]:
    """Build, image, smoke, bring there, roll out, check live; each service behind those that it needs."""
    local, tried, unless = here.environment.local, with_needs(here.config, names), here.already_released(names)
    if not local:
        yield from clusters.prepared(here, names, after=after)
        after = (*after, "namespace", "platform")
    if others := [need for need in here.config.needs(*names) if need not in names]:
        yield needed(here, names, others, after=after)
        after = (*after, "needs")
    yield secrets(here, names, after=after)
    if local:
        yield from (port(here, name, after=after) for name in names)
    ports = {name: each([name], names, "port") if local else () for name in tried}
    for name in tried:
        yield from build(here, [name], after=(*after, *ports[name]), unless=lambda one: here.built(one) or unless(one))
    yield from image(here, tried, after=after, own=ports, unless=unless)
    yield from smoke(here, names, details=lambda name: here.target.differs(here.live.facts(), here.wanted(name)))
    if not local:
        yield from (clusters.delivery(here, name) for name in names)
    for name in names:
        ready = (f"{name}/port",) if local else clusters.awaited(here, name)
        needs = each(here.service(name).needs, names, "release")
        yield release(here, name, after=(f"{name}/smoke", *ready, *needs))


def secrets(here: Workspace, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Step[Any]:
    """Generated secrets: made once, kept with the environment."""

    def differs(kept: dict[str, str]) -> Change | None:
        new = here.missing_secrets(names, kept)
        return Change(f"{', '.join(sorted(new))} must be generated") if new else None

    def make(report: Reporter) -> None:
        kept = here.kept.facts()
        report.note(here.target.keep({**here.missing_secrets(names, kept), **kept}, report))

    return function_step("secrets", "generated secrets", here.kept, differs, make, after, invalidates=(here.live,))


def needed(here: Workspace, names: Sequence[str], others: Sequence[str], *, after: tuple[str, ...]) -> Step[Any]:
    """What these services need and is not deployed now: it serves. There is nothing to mend, only to say."""

    def missing(_: object) -> None:
        absent = [other for other in others if here.target.serving(other) is None]
        if absent:
            lacking = {name: [need for need in here.config.needs(name) if need in absent] for name in names}
            who = "; ".join(f"{name} needs {' and '.join(needs)}" for name, needs in lacking.items() if needs)
            summary = f"{who}, which {'are' if len(absent) > 1 else 'is'} not deployed in {here.environment.name}"
            hint = f"./invoke deploy, or ./invoke deploy --service {','.join(absent)}"
            raise Unreachable(summary, hint=hint)

    return function_step("needs", f"what is needed: {', '.join(others)}", here.live, missing, lambda _: None, after)


def release(here: Workspace, name: str, *, after: tuple[str, ...]) -> Step[Any]:
    """A service as it is wanted, serving and checked."""

    def differs(facts: Any) -> Change | None:
        reason = here.target.differs(facts, here.wanted(name))
        return Change(reason) if reason else None

    def roll_out(report: Reporter) -> None:
        here.target.apply(here.wanted(name, commit=source.commit(here.host, here.config.root)), verify, report)

    return function_step(f"{name}/release", f"{name}: release", here.live, differs, roll_out, after)


def port(here: Workspace, name: str, *, after: tuple[str, ...]) -> Step[State]:
    """A service's own port of this machine: free, or its own container's. There is nothing to mend, only to say."""
    number = here.service(name).published

    def taken(state: State) -> None:
        if not any(holds(container, name, number) for container in state.containers):
            others = {service.published for service in here.config.services.values()}
            local_ports.free_or_told(name, number, others, here.daemon.publishing)

    return function_step(f"{name}/port", f"{name}: port {number}", here.state, taken, lambda _: None, after)
