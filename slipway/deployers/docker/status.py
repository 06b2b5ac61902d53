"""What runs on one host's Docker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import attrgetter

from slipway.deployers.docker.container import serving
from slipway.deployers.docker.proxy import in_front
from slipway.deployers.docker.readiness import unready
from slipway.deployers.docker.release_store import release_of
from slipway.deployers.status import CopyStatus, NodeUsage, ServiceStatus
from slipway.docker.labels import EXPOSE, ROLE, SERVICE
from slipway.docker.protocols import Daemon
from slipway.docker.reach import Reach
from slipway.docker.state import Container, State
from slipway.engine.reporter import null_reporter
from slipway.engine.steps import Probe
from slipway.engine.threads import Threads


class DockerStatus:
    """A `StatusReader` of one project's containers."""

    def __init__(self, daemon: Daemon, state: Probe[State], reach: Reach) -> None:
        self._daemon, self._state, self._reach = daemon, state, reach
        self._unready = Probe(self._ask)

    def services(self) -> Sequence[ServiceStatus]:
        """What runs, without the containers that are being replaced."""
        state, why = self._state.facts(), self._unready.facts()
        found = (_status(state, one, ready=one.running and one.id not in why) for one in serving(state))
        return sorted(found, key=attrgetter("name"))

    def _ask(self) -> Mapping[str, str]:
        """Why running containers are not ready, by id; those that are, and those without a record, are not in it."""
        state = self._state.facts()
        running = [one for one in serving(state) if one.running]
        threads = Threads(len(running) or 1)
        asked = {one.id: threads.submit(self._why_unready, state, one) for one in running}
        return {container: why for container, one in asked.items() if (why := one.result())}

    def _why_unready(self, state: State, container: Container) -> str:
        front = in_front(state, container)
        if not front.running:
            return f"its proxy, {front.name}, is {front.state}"
        release = release_of(state, container)
        published = release and container.ports.get(release.settings.port)
        if not release or not published:
            return ""
        url = self._reach.url(published[1])
        return unready(self._daemon, container.id, release.settings, url, null_reporter())

    def nodes(self) -> Sequence[NodeUsage]:
        """None: one host plans nothing."""
        return []

    def warnings(self) -> Sequence[str]:
        """Which services are not ready or not reached by the world, and why: Docker itself keeps no events."""
        state, why = self._state.facts(), self._unready.facts()
        unready = sorted(f"{_name(one)} is not ready: {why[one.id]}" for one in serving(state) if one.id in why)
        return [*unready, *_unanswered(state)]


def _unanswered(state: State) -> Iterator[str]:
    """Where nothing answers, since the edge of exposed services does not run."""
    if not any(EXPOSE in one.labels for one in serving(state)):
        return
    from slipway.deployers.docker.edge import EDGE, exposures  # only a server has one

    edge = next((one for one in state.containers if one.labels.get(ROLE) == EDGE), None)
    if edge is None or not edge.running:
        urls = ", ".join(one.how.url for one in exposures(state))
        yield f"nothing answers at {urls}: {f'{edge.name} is {edge.state}' if edge else 'there is no edge'}"


def _status(state: State, container: Container, *, ready: bool) -> ServiceStatus:
    release = release_of(state, container)
    image = next((i for i in state.images if i.id == container.image), None)
    version = next((t for t in image.tags if ":src-" not in t and ":ok-" not in t), "") if image else ""
    started = datetime.fromisoformat(container.started)
    published = in_front(state, container).ports
    return ServiceStatus(
        name=_name(container),
        release=release.number if release else None,
        wanted=1,
        ready=int(ready),
        restarts=container.restarts,
        image=version or (image.tags[0] if image and image.tags else ""),
        digest=container.image,
        age=max(0.0, (datetime.now(UTC) - started).total_seconds()) if container.running else 0.0,
        ports=tuple(f"{address}:{port}->{inner}" for inner, (address, port) in published.items()),
        containers=(CopyStatus(container.name, container.state),),
    )


def _name(container: Container) -> str:
    return container.labels.get(SERVICE, container.name)
