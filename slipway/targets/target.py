"""The seam to where services run: what serves, and the deeds that change it. `docker` is the real one for `local`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from slipway.config.models import Service
from slipway.steps import Probe, Say


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


@dataclass(frozen=True)
class Pod:
    """One running copy of a service, in the words of `status`."""

    name: str
    state: str


@dataclass(frozen=True)
class Live:
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


Verify = Callable[[str, Say], Verdict]  # (base URL, say): run the checks against what serves there


class Target(Protocol):
    """Where the services of one environment run."""

    probe: Probe[Any]

    def differs(self, facts: Any, wanted: Wanted) -> str | None:
        """Why what serves is not what is wanted; None when it is, verified and recorded."""

    def apply(self, wanted: Wanted, verify: Verify, say: Say) -> None:
        """Make it serve and verify it; put the earlier release back and raise Problem if that fails."""

    def status(self) -> Sequence[Live]:
        """What serves now, one entry per service."""

    def history(self, service: str | None) -> Sequence[Release]:
        """The recorded releases, newest first."""

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Log lines of every copy of a service."""

    def forward(self, service: str, port: int | None) -> AbstractContextManager[str]:
        """A loopback URL of the live service for as long as the context lasts."""
