"""An environment in memory: what a flow sees of where services run, without any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.checks.fake import FakeCheckRunner
from slipway.checks.runner import CheckRunner
from slipway.config.models import Service
from slipway.deployers.deployer import DesiredRelease, SecretLookup, addresses, settings_diff
from slipway.deployers.deployments import Deployments
from slipway.deployers.release import Release
from slipway.deployers.releases import pick
from slipway.deployers.status import CopyStatus, NodeUsage, ServiceStatus
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Probe
from slipway.errors import Problem, UsageError


@dataclass(frozen=True)
class FakeState:
    """What there is: the release that runs of each service, all that are kept, copies and generated secrets."""

    running: Mapping[str, Release] = field(default_factory=dict)
    kept: tuple[Release, ...] = ()  # newest first
    generated: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict)


class FakeEnvironment:
    """Deployer, releases, operations, status and secret store over one `FakeState`; checks are `checks`' to answer.

    `reuses` is whether the image of a kept release can run again without being built, as on a cluster.
    """

    def __init__(self, checks: CheckRunner | None = None, *, reuses: bool = False) -> None:
        self.state = FakeState()
        self.checks = checks or FakeCheckRunner()
        self.reuses = reuses
        self.actions: list[str] = []  # what was done, in order
        self.probe: Probe[FakeState] = Probe(lambda: self.state)

    @property
    def deployments(self) -> Deployments[FakeState, str]:
        """It, as flows take it."""
        return Deployments(self.probe, self, self, self, self.itself, self.itself)

    def itself(self) -> FakeEnvironment:
        """It, as operations and as status."""
        return self

    def render(self, service: Service, secrets: Mapping[str, str]) -> str:
        """Its settings as text, secrets by name."""
        return f"{service.model_dump_json(exclude={'folder'})} {sorted(secrets)}"

    def differs(self, state: FakeState, desired: DesiredRelease[str]) -> str | None:
        """Sources and settings, compared with the running release."""
        running = state.running.get(desired.service.name)
        if running is None:
            return f"{desired.service.name} does not exist"
        if running.source != desired.source:
            return "its sources differ from the running release"
        if running.manifest != desired.manifest:
            return settings_diff(running.settings, desired.service)
        return None

    def apply(self, desired: DesiredRelease[str], report: Reporter) -> None:
        """Run it, if its checks pass; the release before goes on running if not."""
        service = desired.service
        number = max((release.number for release in self.history(service.name)), default=0) + 1
        checks = self._check(service, report)
        release = Release(
            service.name, number, desired.image, desired.source, desired.manifest, "1970-01-01T00:00:00+00:00",
            desired.who, desired.commit, checks, service,
        )  # fmt: skip
        self._run(release)
        self._set(kept=(release, *self.state.kept))

    def rollback(self, release: Release, secrets: SecretLookup, report: Reporter) -> None:  # noqa: ARG002
        """Run a kept release again, if its checks pass."""
        self._check(release.settings, report)
        self._run(release)

    def _check(self, service: Service, report: Reporter) -> Mapping[str, bool]:
        self.actions.append(f"deploy {service.name}")
        outcome = self.checks.run(service.checks, addresses(service, "http://{}.invalid".format), report)
        if not outcome.ok:
            self.actions.append(f"restore {service.name}")
            raise Problem(f"{service.name}: live checks failed", details=outcome.text)
        return outcome.record

    def _run(self, release: Release) -> None:
        copies = {**self.state.copies, release.service: release.settings.replicas}
        self._set(running={**self.state.running, release.service: release}, copies=copies)

    def _set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self.probe.forget()

    def running(self, service: str) -> Release | None:
        """The release that runs."""
        return self.state.running.get(service)

    def history(self, service: str | None) -> list[Release]:
        """The kept releases, newest first."""
        return [release for release in self.state.kept if service in {None, release.service}]

    def earlier(self, service: str, number: int | None) -> Release:
        """The release of that number, or the one before the running one."""
        return pick(service, self.history(service), self.running(service), number)

    def reusable_image(self, desired: DesiredRelease[str]) -> str | None:
        """The image of a kept release of the same sources and settings, where images are reused."""
        wanted = (desired.source, desired.manifest)
        known = self.history(desired.service.name) if self.reuses else ()
        return next((release.image for release in known if (release.source, release.manifest) == wanted), None)

    def services(self) -> Sequence[ServiceStatus]:
        """What runs."""
        return [
            ServiceStatus(name, release.number, self.state.copies[name], self.state.copies[name], 0, release.image,
                          release.image, 0.0, (), (CopyStatus(name, "running"),))
            for name, release in sorted(self.state.running.items())
        ]  # fmt: skip

    def nodes(self) -> Sequence[NodeUsage]:
        """None."""
        return []

    def warnings(self) -> Sequence[str]:
        """None."""
        return []

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:  # noqa: ARG002  nothing runs
        """No lines."""
        return iter(())

    def restart(self, service: Service, report: Reporter) -> None:  # noqa: ARG002
        """Remember that it was asked."""
        self.actions.append(f"restart {service.name}")

    def can_scale(self, service: Service) -> None:
        """An autoscaler's can't."""
        if service.autoscale:
            raise UsageError(f"{service.name} is scaled by its autoscaler")

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:  # noqa: ARG002
        """So many copies."""
        self._set(copies={**self.state.copies, service.name: replicas or service.replicas})

    @contextmanager
    def forward(self, service: str, port: int | None) -> Iterator[str]:
        """A URL of nobody."""
        if service not in self.state.running:
            raise Problem(f"{service} is not deployed here")
        yield f"http://127.0.0.1:{port or 80}"

    def known_services(self) -> frozenset[str]:
        """Those that run or are kept."""
        return frozenset({*self.state.running, *(release.service for release in self.state.kept)})

    def down(self, services: Sequence[str], report: Reporter) -> None:  # noqa: ARG002
        """Nothing of these runs any more."""
        self._set(running={name: one for name, one in self.state.running.items() if name not in services})

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:  # noqa: ARG002
        """Nothing of these is kept any more."""
        kept = tuple(release for release in self.state.kept if release.service not in services)
        self._set(kept=kept, generated={} if everything else self.state.generated)

    def read(self, state: Callable[[], FakeState]) -> dict[str, str]:
        """What is stored."""
        return dict(state().generated)

    def store(self, values: Mapping[str, str], report: Reporter) -> str:  # noqa: ARG002
        """Store values beside those that are stored."""
        self._set(generated={**values, **self.state.generated})
        return "stored in memory"
