"""The story of a deploy: build, image, smoke test, deliver, roll out, check; each service behind what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from slipway.engine.steps import Change, Node, Precondition, Reporter, Step
from slipway.errors import Unreachable
from slipway.flows.build import build, image
from slipway.flows.selection import ids, with_needs
from slipway.flows.smoke import generate_secrets, smoke_if_needed
from slipway.flows.workspace import Workspace
from slipway.images import source_digest


def deploy(work: Workspace, names: Sequence[str], *, after: tuple[str, ...] = ()) -> Iterator[Node[Any]]:
    """Every node of a deploy of these services; what differs decides which of them act."""
    tested, released = with_needs(work.config, names), work.already_released(tuple(names))
    preparation = tuple(work.environment.prepare(names, after))
    yield from preparation
    for_releases = {one for name in names for one in work.environment.before_release(name)}
    after = (*after, *(node.id for node in preparation if node.id not in for_releases))
    if others := tuple(need for need in work.config.needs(*names) if need not in names):
        yield running_needs(work, names, others, after)
        after = (*after, "needs")
    yield generate_secrets(work, names, after=after)
    needed: dict[str, tuple[str, ...]] = {}
    for name in names:
        conditions = tuple(work.environment.before_build(name, after))
        yield from conditions
        needed[name] = tuple(node.id for node in conditions)
    for name in tested:
        yield from build(
            work,
            [name],
            after=(*after, *needed.get(name, ())),
            skip=lambda one: work.artifacts.image(one) or released(one),
        )
    yield from image(work, tested, after=after, needed=needed, skip=released)
    yield from smoke_if_needed(work, names)
    for name in names:
        yield from work.environment.deliver(name)
    for name in names:
        needs = ids(work.services.model(name).needs, names, "release")
        yield release(work, name, (f"{name}/smoke", *work.environment.before_release(name), *needs))


def running_needs(
    work: Workspace, names: Sequence[str], others: tuple[str, ...], after: tuple[str, ...]
) -> RunningNeeds:
    """The precondition that what these services need runs, where it is not deployed now."""
    return RunningNeeds(
        name="needs",
        title=f"what is needed: {', '.join(others)}",
        probe=work.deployments.state,
        after=after,
        work=work,
        services=tuple(names),
        others=others,
    )


def release(work: Workspace, name: str, after: tuple[str, ...]) -> ReleaseService:
    """The step that releases a service."""
    return ReleaseService(
        group=name, name="release", title=f"{name}: release", probe=work.deployments.state, after=after, work=work
    )


@dataclass(frozen=True, kw_only=True)
class RunningNeeds(Precondition[Any]):
    """What services need and is not deployed now runs already."""

    work: Workspace
    services: tuple[str, ...]
    others: tuple[str, ...]

    def verify(self, facts: Any) -> None:  # noqa: ARG002  the releases are read off the same state
        """Raise Unreachable that names who needs what."""
        work = self.work
        absent = [other for other in self.others if work.deployments.releases.running(other) is None]
        if not absent:
            return
        lacking = {name: [need for need in work.config.needs(name) if need in absent] for name in self.services}
        who = "; ".join(f"{name} needs {' and '.join(needs)}" for name, needs in lacking.items() if needs)
        summary = f"{who}, which {'are' if len(absent) > 1 else 'is'} not deployed in {work.name}"
        raise Unreachable(summary, hint=f"./invoke deploy, or ./invoke deploy --service {','.join(absent)}")


@dataclass(frozen=True, kw_only=True)
class ReleaseService(Step[Any]):
    """A service as it is desired: running, checked and recorded."""

    work: Workspace

    def check(self, facts: Any) -> Change | None:
        """How the running release differs."""
        reason = self.work.deployments.deployer.differs(facts, self.work.desired(self.group))
        return Change(reason) if reason else None

    def apply(self, report: Reporter) -> None:
        """Roll it out."""
        work = self.work
        commit = source_digest.commit(work.build.host, work.config.root)
        work.deployments.deployer.apply(replace(work.desired(self.group), commit=commit), report)
