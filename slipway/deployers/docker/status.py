"""What runs on one host's Docker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter

from slipway.deployers.docker.release_store import release_of
from slipway.deployers.status import CopyStatus, NodeUsage, ServiceStatus
from slipway.docker.labels import ROLE, SERVICE
from slipway.docker.state import Container, State
from slipway.engine.steps import Probe


class DockerStatus:
    """A `StatusReader` of one project's containers."""

    def __init__(self, state: Probe[State]) -> None:
        self._state = state

    def services(self) -> Sequence[ServiceStatus]:
        """What runs, without the containers that are being replaced."""
        state = self._state.facts()
        running = [c for c in state.containers if c.labels.get(ROLE) == "serving" and not c.name.endswith("_previous")]
        return sorted((_status(state, container) for container in running), key=attrgetter("name"))

    def nodes(self) -> Sequence[NodeUsage]:
        """None: one host plans nothing."""
        return []

    def warnings(self) -> Sequence[str]:
        """None: Docker keeps no events."""
        return []


def _status(state: State, container: Container) -> ServiceStatus:
    release = release_of(state, container)
    image = next((i for i in state.images if i.id == container.image), None)
    version = next((t for t in image.tags if ":src-" not in t and ":ok-" not in t), "") if image else ""
    started = datetime.fromisoformat(container.started)
    return ServiceStatus(
        name=container.labels.get(SERVICE, container.name),
        release=release.number if release else None,
        wanted=1,
        ready=int(container.running),
        restarts=container.restarts,
        image=version or (image.tags[0] if image and image.tags else ""),
        digest=container.image,
        age=max(0.0, (datetime.now(UTC) - started).total_seconds()) if container.running else 0.0,
        ports=tuple(f"{address}:{port}->{inner}" for inner, (address, port) in container.ports.items()),
        containers=(CopyStatus(container.name, container.state),),
    )
