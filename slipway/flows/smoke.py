"""Each image run in a container of its own, beside those that it needs, and checked; the steps of `smoke`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slipway.deployers.deployer import DesiredRelease
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Probe, Step
from slipway.flows.artifacts import Skip, never
from slipway.flows.secrets import GenerateSecrets
from slipway.flows.selection import Selection
from slipway.flows.services import AnyService
from slipway.flows.workspace import Workspace

if TYPE_CHECKING:
    from slipway.deployers.docker.smoke_test import SmokeTestRun


def generate_secrets(
    work: Workspace, services: Sequence[AnyService], *, after: tuple[str, ...] = ()
) -> GenerateSecrets:
    """The step that stores the generated secrets of these services."""
    return GenerateSecrets(
        name="secrets",
        title="generated secrets",
        probe=work.secrets.stored,
        after=after,
        invalidates=(work.deployments.state, *(service.release for service in work.services.values())),
        values=work.secrets,
        services=tuple(service.settings for service in services),
    )


def smoke(work: Workspace, selection: Selection, *, keep: bool = False) -> Iterator[AnyNode]:
    """A smoke test of each chosen image, asked for: run even where it passed before.

    `keep` leaves the containers running.
    """
    run, done = _run(work, selection, never), set[str]()
    for service in selection.chosen:
        fields = _fields(work, selection, service)
        yield RequestedSmokeTest(**fields, probe=work.build.state, run=run, keep=keep, done=done)


class NeededSmokeTests:
    """A smoke test of each chosen image that never passed one with these settings, and is not released as it is."""

    def __init__(self, work: Workspace, selection: Selection) -> None:
        self._work, self._selection = work, selection
        self._run = _run(work, selection, self._passed)

    def steps(self) -> Iterator[AnyNode]:
        """The tests."""
        work = self._work
        for service in self._selection.chosen:
            fields = _fields(work, self._selection, service)
            probe = work.docker_if_needed(work.reusable_image, (service,))
            yield SmokeTest(**fields, probe=probe, run=self._run, passed=self._passed)

    def prepare(self, service: AnyService) -> None:
        """Begin to start what the test of a service needs, whose image is made now."""
        self._run.facts().prepare(service.name)

    def _passed(self, service: AnyService) -> bool:
        return bool(self._work.reusable_image(service)) or self._work.artifacts.passed(service)


def _run(work: Workspace, selection: Selection, passed: Skip) -> Probe[SmokeTestRun]:
    """The containers of one run's smoke tests: what is needed is started once, and stays until nobody waits for it.

    Nothing is made of it where no test is run.
    """
    services = {service.name: service for service in selection.tested}

    def desired(name: str) -> DesiredRelease[Any]:
        return replace(services[name].release.facts(), image=work.artifacts.image(services[name]) or "")

    def needs(name: str) -> tuple[str, ...]:
        return services[name].needs

    def waiting() -> set[str]:
        return {service.name for service in selection.chosen if not passed(service)}

    def make() -> SmokeTestRun:
        from slipway.deployers.docker.smoke_test import SmokeTestRun

        build = work.build
        run = SmokeTestRun(build.docker, work.names, desired, needs, waiting, build.checks, build.end_later)
        work.closing.callback(run.close)
        return run

    return Probe(make)


def _fields(work: Workspace, selection: Selection, service: AnyService) -> dict[str, Any]:
    images = (f"{name}/image" for name in (service.name, *service.needs))
    return {
        "group": service.name,
        "name": "smoke",
        "title": f"{service.name}: smoke test",
        "after": ("secrets", *images, *(f"{name}/smoke" for name in service.needs if name in selection.names)),
        "invalidates": (work.build.state,),
        "service": service,
        "work": work,
    }


@dataclass(frozen=True, kw_only=True)
class SmokeTest(Step[State | None]):
    """An image's smoke test, passed once for these sources and settings: a tag on the image remembers it."""

    service: AnyService
    work: Workspace
    run: Probe[SmokeTestRun]
    passed: Skip

    def check(self, facts: State | None) -> Change | None:  # noqa: ARG002  what is asked is read off the same state
        """Whether it passed, and how the service differs from the running release if it did not."""
        deployments = self.work.deployments
        if self.passed(self.service):
            return None
        differs = deployments.deployer.differs(deployments.state.facts(), self.work.desired(self.service))
        return Change(": ".join(filter(None, ("this image and its settings were never checked", differs))))

    def apply(self, report: Reporter) -> None:
        """Run it, and tag the image."""
        _test(self.work, self.run, self.service, report, keep=False)


@dataclass(frozen=True, kw_only=True)
class RequestedSmokeTest(Step[State]):
    """An image's smoke test that somebody asked for, whether it passed before or not."""

    service: AnyService
    work: Workspace
    run: Probe[SmokeTestRun]
    keep: bool
    done: set[str]

    def check(self, facts: State) -> Change | None:  # noqa: ARG002  asked for is asked for
        """Whether it was run."""
        return None if self.group in self.done else Change("asked for")

    def apply(self, report: Reporter) -> None:
        """Run it, and tag the image."""
        _test(self.work, self.run, self.service, report, keep=self.keep)
        self.done.add(self.group)


def _test(work: Workspace, run: Probe[SmokeTestRun], service: AnyService, report: Reporter, *, keep: bool) -> None:
    run.facts().run(service.name, report, keep=keep)
    work.build.docker.images.tag(work.artifacts.image(service) or "", work.artifacts.passed_tag(service))
