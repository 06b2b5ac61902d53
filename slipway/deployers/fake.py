"""The seam to where services run, in memory: what a flow sees of an environment, without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.config.models import Service
from slipway.deployers.deployer import Pod, Release, Secrets, ServiceStatus, Verify, Wanted, addresses, pick
from slipway.deployers.docker.container import manifest
from slipway.engine.steps import Probe, Reporter
from slipway.errors import Problem
from slipway.hosts.host import Command, Result


@dataclass(frozen=True)
class Served:
    """What a fake environment holds: the release that serves of each service, all that are kept, and secrets."""

    serving: Mapping[str, Release] = field(default_factory=dict)
    kept: tuple[Release, ...] = ()  # newest first
    generated: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, int] = field(default_factory=dict)
    down: str = ""


class FakeTarget:
    """See `Target`. `state` is what there is; nothing runs, so that checks are asked of nobody."""

    def __init__(self, state: Served | None = None) -> None:
        self.state = state or Served()
        self.probe: Probe[Any] = Probe(lambda: self.state)

    def differs(self, facts: Served, wanted: Wanted) -> str | None:
        """See `Target.differs`."""
        serving = facts.serving.get(wanted.service.name)
        if serving is None:
            return f"{wanted.service.name} is not there"
        if serving.source != wanted.source:
            return "its sources differ from what serves"
        if serving.manifest != manifest(wanted.service, wanted.secrets):
            return "its settings or checks differ from what serves"
        return None

    def apply(self, wanted: Wanted, verify: Verify, report: Reporter) -> None:
        """See `Target.apply`."""
        service = wanted.service
        number = max((r.number for r in self.history(service.name)), default=0) + 1
        checks = self._verified(service, verify, report)
        digest = manifest(service, wanted.secrets)
        release = Release(service.name, number, wanted.image, wanted.source, digest, "1970-01-01T00:00:00+00:00",
                          wanted.who, wanted.commit, checks, service)  # fmt: skip
        self._serve(release)
        self._now(kept=(release, *self.state.kept))

    def rollback(self, release: Release, secrets: Secrets, verify: Verify, report: Reporter) -> None:  # noqa: ARG002
        """See `Target.rollback`."""
        self._verified(release.settings, verify, report)
        self._serve(release)

    def _verified(self, service: Service, verify: Verify, report: Reporter) -> Mapping[str, bool]:
        """The results of the checks; what served before has gone on serving when they fail."""
        verdict = verify(service, addresses(service, "http://{}.invalid".format), _nobody, report)
        if not verdict.ok:
            raise Problem(f"{service.name}: live checks failed", details=verdict.evidence)
        return verdict.checks

    def _serve(self, release: Release) -> None:
        name = release.service
        copies = {**self.state.copies, name: release.settings.replicas}
        self._now(serving={**self.state.serving, name: release}, copies=copies)

    def _now(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self.probe.forget()

    def earlier(self, service: str, number: int | None) -> Release:
        """See `Target.earlier`."""
        return pick(service, self.history(service), self.serving(service), number)

    def serving(self, service: str) -> Release | None:
        """See `Target.serving`."""
        return self.state.serving.get(service)

    def history(self, service: str | None) -> list[Release]:
        """See `Target.history`."""
        return [release for release in self.state.kept if service in {None, release.service}]

    def status(self) -> list[ServiceStatus]:
        """See `Target.status`."""
        return [
            ServiceStatus(name, release.number, self.state.copies[name], self.state.copies[name], 0, release.image,
                 release.image, 0.0, (), (Pod(name, "running"),))
            for name, release in sorted(self.state.serving.items())
        ]  # fmt: skip

    def nodes(self) -> list[Mapping[str, Any]]:
        """See `Target.nodes`."""
        return []

    def warnings(self) -> list[str]:
        """See `Target.warnings`."""
        return []

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:  # noqa: ARG002  nothing runs
        """See `Target.logs`."""
        return iter(())

    def restart(self, service: Service, report: Reporter) -> None:
        """See `Target.restart`."""

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:  # noqa: ARG002
        """See `Target.scale`."""
        self._now(copies={**self.state.copies, service.name: replicas or service.replicas})

    @contextmanager
    def forward(self, service: str, port: int | None) -> Iterator[str]:
        """See `Target.forward`."""
        if service not in self.state.serving:
            raise Problem(f"{service} is not deployed here")
        yield f"http://127.0.0.1:{port or 80}"

    def down(self, services: Sequence[str], report: Reporter) -> None:  # noqa: ARG002
        """See `Target.down`."""
        self._now(serving={name: one for name, one in self.state.serving.items() if name not in services})

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:  # noqa: ARG002
        """See `Target.purge`."""
        kept = tuple(release for release in self.state.kept if release.service not in services)
        self._now(kept=kept, generated={} if everything else self.state.generated)

    def generated(self, facts: Served) -> dict[str, str]:
        """See `Target.generated`."""
        return dict(facts.generated)

    def keep(self, values: Mapping[str, str], report: Reporter) -> str:  # noqa: ARG002
        """See `Target.keep`."""
        self._now(generated=dict(values))
        return "kept in memory"


def _nobody(command: Command, report: Reporter) -> Result:  # noqa: ARG001  it has nothing to say
    return Result(command, 7, b"", b"nothing runs here")
