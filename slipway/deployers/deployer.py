"""The seam to where services run: what serves, and the deeds that change it. `docker` is the real one for `local`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from slipway.config.models import Service, url_variable
from slipway.engine.steps import Probe, Reporter
from slipway.errors import UsageError
from slipway.hosts.host import Command, Result

UNRECORDED = "the running version has no release record (started by hand, or an interrupted deploy)"


@dataclass(frozen=True)
class Release:
    """One release of one service, immutable. `image` is a digest, `time` RFC 3339, `checks` results by name."""

    service: str
    number: int
    image: str
    source: str
    manifest: str
    time: str
    who: str
    commit: str
    checks: Mapping[str, bool]
    settings: Service


@dataclass(frozen=True)
class Wanted:
    """What a deploy wants to serve. `secrets` are values by name: never shown, never in `manifest`'s text."""

    service: Service
    image: str  # digest
    source: str
    secrets: Mapping[str, str]
    who: str
    commit: str


def settings_diff(served: Service, wanted: Service) -> str:
    """Why settings that serve are not those that are wanted, and where in the service file, if it shows there."""
    env = sorted(k for k in {*served.env, *wanted.env} if served.env.get(k) != wanted.env.get(k))
    keys = sorted(
        k for k in Service.model_fields if getattr(served, k) != getattr(wanted, k) and k not in {"env", "folder"}
    )
    places = ", ".join([*(f"env {key}" for key in env), *keys])
    return "its settings or checks differ from what serves" + (f": {places}" if places else "")


@dataclass(frozen=True)
class Pod:
    """One running copy of a service, in the words of `status`."""

    name: str
    state: str


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it serves. `release` is None when what runs has no record: it was never verified, or by hand."""

    name: str
    release: int | None
    wanted: int
    ready: int
    restarts: int
    image: str
    digest: str
    age: float  # seconds since it started
    ports: tuple[str, ...]
    containers: tuple[Pod, ...]

    def document(self) -> dict[str, Any]:
        """The shape of `status --output json`."""
        return {
            "name": self.name,
            "release": self.release,
            "wanted": self.wanted,
            "ready": self.ready,
            "restarts": self.restarts,
            "image": self.image,
            "digest": self.digest,
            "age": round(self.age, 1),
            "ports": list(self.ports),
            "containers": [{"name": pod.name, "state": pod.state} for pod in self.containers],
        }


@dataclass(frozen=True)
class Verdict:
    """What live checks said: result by name, and the evidence of those that failed."""

    checks: Mapping[str, bool] = field(default_factory=dict)
    evidence: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(self.checks.values())


Ask = Callable[[Command, Reporter], Result]  # runs a command where the live service can be reached
Secrets = Callable[[Service], Mapping[str, str]]  # the values of a service's secrets, by name
Verify = Callable[
    [Service, Mapping[str, str], Ask, Reporter], Verdict
]  # a service's checks, asked at these `addresses`


def addresses(service: Service, of: Callable[[str], str]) -> dict[str, str]:
    """The URLs that a service's checks may ask, by variable: `BASE`, and `AUTH_URL` for each need.

    `of` tells a service's URL as the checks reach it.
    """
    return {"BASE": of(service.name), **{url_variable(need): of(need) for need in service.needs}}


class Target(Protocol):
    """Where the services of one environment run. Every deed raises Problem, and ends with the place as the truth."""

    probe: Probe[Any]

    def differs(self, facts: Any, wanted: Wanted) -> str | None:
        """Why what serves is not what is wanted; None when it is, verified and recorded."""

    def apply(self, wanted: Wanted, verify: Verify, report: Reporter) -> None:
        """Make it serve and verify it; put the earlier release back and raise Problem if that fails."""

    def rollback(self, release: Release, secrets: Secrets, verify: Verify, report: Reporter) -> None:
        """Serve a kept release again, verified like any other, with the number that it had.

        `secrets` is asked where a release was kept without their values.
        """

    def earlier(self, service: str, number: int | None) -> Release:
        """The release of that number, or the one before what serves. Raises Problem naming those that there are."""

    def serving(self, service: str) -> Release | None:
        """The recorded release that serves."""

    def history(self, service: str | None) -> Sequence[Release]:
        """The recorded releases, newest first."""

    def status(self) -> Sequence[ServiceStatus]:
        """What serves now, one entry per service."""

    def nodes(self) -> Sequence[Mapping[str, Any]]:
        """Each node: `{name, cpu: {requested, allocatable}, memory: {…}}`, in CPUs and bytes."""

    def warnings(self) -> Sequence[str]:
        """What the place itself warned of in the last minutes."""

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Log lines of every copy of a service."""

    def restart(self, service: Service, report: Reporter) -> None:
        """Stop and start every copy; it keeps its release."""

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:
        """Run so many copies until the file's number changes; None: as many as the file says."""

    def forward(self, service: str, port: int | None) -> AbstractContextManager[str]:
        """A loopback URL of the live service for as long as the context lasts."""

    def down(self, services: Sequence[str], report: Reporter) -> None:
        """Remove the workloads of these services; data, secrets and history stay."""

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:
        """Remove data and history of these services; with `everything` generated secrets too."""

    def generated(self, facts: Any) -> dict[str, str]:
        """The generated secrets that are kept there, by SERVICE.NAME."""

    def keep(self, values: Mapping[str, str], report: Reporter) -> str:
        """Keep generated secrets beside those that are kept by now; says where."""


def pick(service: str, known: Sequence[Release], serving: Release | None, number: int | None) -> Release:
    """Of the known releases (newest first) the one of that number, or the one before what serves."""
    if number is not None:
        found = [r for r in known if r.number == number]
    else:
        found = [r for r in known if serving and r.number < serving.number]
    if found:
        return found[0]
    there = ", ".join(str(r.number) for r in known) or "none"
    summary = f"{service} has no earlier release" if number is None else f"{service} has no release {number}"
    raise UsageError(summary, hint=f"kept releases: {there}; --to names one")
