"""What runs in an environment, in the words of `status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict


class Amount(TypedDict):
    """CPUs, or bytes of memory."""

    requested: float
    allocatable: float


class NodeUsage(TypedDict):
    """What is asked of one node of a cluster, and what it has."""

    name: str
    cpu: Amount
    memory: Amount


@dataclass(frozen=True)
class CopyStatus:
    """One running copy of a service: a container or a pod."""

    name: str
    state: str


@dataclass(frozen=True)
class DevStatus:
    """A service under development beside its release: what runs it, who started it, the namespaces evaluated in it."""

    name: str
    state: str
    who: str
    intercepts: bool
    patched: tuple[str, ...]

    @property
    def text(self) -> str:
        """It in words."""
        patched = f"; patched: {', '.join(self.patched)}" if self.patched else ""
        takes = "" if self.intercepts else f", takes no traffic{patched}"  # the drift tells of one that takes it
        return f"dev pod {self.name} of {self.who}: {self.state}{takes}"


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it runs. `release` is None when what runs has no record: it was never verified, or by hand.

    `drift` is how what answers for it differs from the release, `dev` what is under development beside it.
    """

    name: str
    release: int | None
    wanted: int
    ready: int
    restarts: int
    image: str
    digest: str
    age: float  # seconds since it started
    ports: tuple[str, ...]
    containers: tuple[CopyStatus, ...]
    drift: str = ""
    dev: tuple[DevStatus, ...] = ()

    def document(self) -> Mapping[str, object]:
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
            "containers": [{"name": copy.name, "state": copy.state} for copy in self.containers],
            "drift": self.drift,
            "dev": [{**vars(pod), "patched": list(pod.patched)} for pod in self.dev],
        }


class StatusReader(Protocol):
    """What is known of where services run. Raises Unreachable where it can't be asked."""

    def services(self) -> Sequence[ServiceStatus]:
        """What runs now, one entry per service, by name."""

    def nodes(self) -> Sequence[NodeUsage]:
        """Each node of a cluster; none of a Docker host, which plans nothing."""

    def warnings(self) -> Sequence[str]:
        """What the cluster itself warned of in the last minutes."""
