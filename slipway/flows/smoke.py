"""Each image run in a container of its own, beside those that it needs, and checked; the steps of `smoke`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.smoke_test import SmokeTestRun
from slipway.docker.protocols import State
from slipway.engine.steps import Change, Node, Reporter, Step
from slipway.flows.secrets import GenerateSecrets
from slipway.flows.selection import ids
from slipway.flows.workspace import Workspace


def generate_secrets(work: Workspace, names: Sequence[str], *, after: tuple[str, ...] = ()) -> GenerateSecrets:
    """The step that stores the generated secrets of these services."""
    return GenerateSecrets(
        name="secrets",
        title="generated secrets",
        probe=work.secrets.stored,
        after=after,
        invalidates=(work.deployments.state, *work.services.resolutions),
        values=work.secrets,
        services=tuple(work.services.model(name) for name in names),
    )


def smoke(work: Workspace, names: Sequence[str], *, keep: bool = False) -> Iterator[Node[Any]]:
    """A smoke test of each image, asked for: run even where it passed before. `keep` leaves the containers running."""
    run, done = _run(work, names, lambda _: False), set[str]()
    for name in names:
        yield RequestedSmokeTest(**_fields(work, names, name), probe=work.build.state, run=run, keep=keep, done=done)


def smoke_if_needed(work: Workspace, names: Sequence[str]) -> Iterator[Node[Any]]:
    """A smoke test of each image that never passed one with these settings, and is not released as it is."""

    def passed(name: str) -> bool:
        return bool(work.reusable_image(name)) or work.artifacts.passed(name)

    run = _run(work, names, passed)
    for name in names:
        probe = work.docker_if_needed(work.reusable_image, (name,))
        yield SmokeTest(**_fields(work, names, name), probe=probe, run=run, passed=passed)


def _run(work: Workspace, names: Sequence[str], passed: Callable[[str], object]) -> SmokeTestRun:
    def desired(name: str) -> DesiredRelease[Any]:
        return replace(work.services.desired(name), image=work.artifacts.image(name) or "")

    def waiting() -> set[str]:
        return {name for name in names if not passed(name)}

    run = SmokeTestRun(work.build.docker, work.names, desired, work.config.needs, waiting, work.build.checks)
    work.closing.callback(run.close)
    return run


def _fields(work: Workspace, names: Sequence[str], name: str) -> dict[str, Any]:
    needs = work.config.needs(name)
    return {
        "group": name,
        "name": "smoke",
        "title": f"{name}: smoke test",
        "after": ("secrets", *(f"{one}/image" for one in (name, *needs)), *ids(needs, names, "smoke")),
        "invalidates": (work.build.state,),
        "work": work,
    }


@dataclass(frozen=True, kw_only=True)
class SmokeTest(Step[State | None]):
    """An image's smoke test, passed once for these sources and settings: a tag on the image remembers it."""

    work: Workspace
    run: SmokeTestRun
    passed: Callable[[str], object]

    def check(self, facts: State | None) -> Change | None:  # noqa: ARG002  what is asked is read off the same state
        """Whether it passed, and how the service differs from the running release if it did not."""
        name, deployments = self.group, self.work.deployments
        if self.passed(name):
            return None
        differs = deployments.deployer.differs(deployments.state.facts(), self.work.desired(name))
        return Change(": ".join(filter(None, ("this image and its settings were never checked", differs))))

    def apply(self, report: Reporter) -> None:
        """Run it, and tag the image."""
        _test(self.work, self.run, self.group, report, keep=False)


@dataclass(frozen=True, kw_only=True)
class RequestedSmokeTest(Step[State]):
    """An image's smoke test that somebody asked for, whether it passed before or not."""

    work: Workspace
    run: SmokeTestRun
    keep: bool
    done: set[str]

    def check(self, facts: State) -> Change | None:  # noqa: ARG002  asked for is asked for
        """Whether it was run."""
        return None if self.group in self.done else Change("asked for")

    def apply(self, report: Reporter) -> None:
        """Run it, and tag the image."""
        _test(self.work, self.run, self.group, report, keep=self.keep)
        self.done.add(self.group)


def _test(work: Workspace, run: SmokeTestRun, name: str, report: Reporter, *, keep: bool) -> None:
    run.run(name, report, keep=keep)
    work.build.docker.tag(work.artifacts.image(name) or "", work.artifacts.passed_tag(name))
