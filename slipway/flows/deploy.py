"""The story of a deploy: build, image, smoke test, deliver, roll out, check; each service behind what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from slipway.deployers.releases import Releases
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Precondition, Step
from slipway.errors import Unreachable, deploy_command
from slipway.flows.build import build, image
from slipway.flows.selection import Selection
from slipway.flows.services import AnyService
from slipway.flows.smoke import NeededSmokeTests, generate_secrets
from slipway.flows.workspace import Workspace
from slipway.images import source_digest


def deploy(work: Workspace, selection: Selection, *, after: tuple[str, ...] = ()) -> Iterator[AnyNode]:
    """Every node of a deploy of the chosen services; what differs decides which of them act."""
    chosen, environment, released = selection.chosen, work.environment, work.already_released(selection.chosen)
    preparation = tuple(environment.prepare(chosen, after))
    yield from preparation
    for_releases = {one for service in chosen for one in environment.before_release(service)}
    after = (*after, *(node.id for node in preparation if node.id not in for_releases))
    if selection.others:
        yield running_needs(work, selection, after)
        after = (*after, "needs")
    yield generate_secrets(work, chosen, after=after)
    needed: dict[str, tuple[str, ...]] = {}
    for service in chosen:
        conditions = tuple(environment.before_build(service, after))
        yield from conditions
        needed[service.name] = tuple(node.id for node in conditions)
    tests = NeededSmokeTests(work, selection)
    for service in selection.tested:
        behind = (*after, *needed.get(service.name, ()))
        yield from build(work, [service], after=behind, skip=work.unless_built(released), prepare=tests.prepare)
    yield from image(work, selection.tested, after=after, needed=needed, skip=released)
    yield from tests.steps()
    for service in chosen:
        yield from environment.deliver(service)
    for service in chosen:
        needs = (f"{name}/release" for name in service.settings.needs if name in selection.names)
        yield release(work, service, (f"{service.name}/smoke", *environment.before_release(service), *needs))


def running_needs(work: Workspace, selection: Selection, after: tuple[str, ...]) -> RunningNeeds:
    """The precondition that what the chosen services need beside them runs already."""
    return RunningNeeds(
        name="needs",
        title=f"what is needed: {', '.join(selection.others)}",
        probe=work.deployments.state,
        after=after,
        selection=selection,
        releases=work.deployments.releases,
        environment=work.name,
    )


def release(work: Workspace, service: AnyService, after: tuple[str, ...]) -> ReleaseService:
    """The step that releases a service."""
    return ReleaseService(
        group=service.name,
        name="release",
        title=f"{service.name}: release",
        probe=work.deployments.state,
        after=after,
        service=service,
        work=work,
    )


@dataclass(frozen=True, kw_only=True)
class RunningNeeds(Precondition[Any]):
    """What services need and is not deployed now runs already."""

    selection: Selection
    releases: Releases[Any]
    environment: str

    def verify(self, facts: Any) -> None:  # noqa: ARG002  the releases are read off the same state
        """Raise Unreachable that names who needs what."""
        absent = [other for other in self.selection.others if self.releases.running(other) is None]
        if not absent:
            return
        lacking = {one.name: [need for need in one.needs if need in absent] for one in self.selection.chosen}
        who = "; ".join(f"{name} needs {' and '.join(needs)}" for name, needs in lacking.items() if needs)
        summary = f"{who}, which {'are' if len(absent) > 1 else 'is'} not deployed in {self.environment}"
        raise Unreachable(summary, hint="deploy all services, or these first", commands=[deploy_command(*absent)])


@dataclass(frozen=True, kw_only=True)
class ReleaseService(Step[Any]):
    """A service as it is desired: running, checked and recorded."""

    service: AnyService
    work: Workspace

    def check(self, facts: Any) -> Change | None:
        """How the running release differs."""
        reason = self.work.deployments.deployer.differs(facts, self.work.desired(self.service))
        return Change(reason) if reason else None

    def apply(self, report: Reporter) -> None:
        """Roll it out."""
        work = self.work
        commit = source_digest.commit(work.build.host, work.config.root)
        work.deployments.deployer.apply(replace(work.desired(self.service), commit=commit), report)
