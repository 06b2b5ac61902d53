"""Day-two work on services on one host's Docker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from slipway.config.models import Service
from slipway.deployers.docker.edge import Edge, mend
from slipway.deployers.docker.proxy import in_front
from slipway.deployers.docker.readiness import wait_until_ready
from slipway.deployers.docker.release_store import release_of
from slipway.deployers.docker.replace_container import GRACE
from slipway.docker.labels import ROLE, SECRETS_HOLDER, SERVICE, Names, left_behind
from slipway.docker.protocols import Daemon
from slipway.docker.reach import Reach, url_of
from slipway.docker.state import Container, State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Probe
from slipway.engine.threads import Threads
from slipway.errors import NextCommand, Problem, UsageError, deploy_command
from slipway.hosts.tunnels import tunnel

STOPPED_AT_ONCE = 8  # containers: each may take its whole GRACE to stop


class DockerOperations:
    """The `Operations` of one project's containers."""

    def __init__(
        self, daemon: Daemon, names: Names, state: Probe[State], reach: Reach, edge: Edge | None = None
    ) -> None:
        self.daemon, self.names, self.state, self.reach, self.edge = daemon, names, state, reach, edge

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Both streams of the container."""
        return self.daemon.io.logs(self._deployed(service).id, tail, follow=follow)

    def restart(self, service: Service, report: Reporter) -> None:
        """Stop and start the container, and wait until it is ready, as its release says: the file may differ by now."""
        container = self._deployed(service.name)
        release = release_of(self.state.facts(), container)
        settings = release.settings if release else service
        self.daemon.containers.stop(container.id, GRACE)
        self.daemon.containers.start(container.id)
        wait_until_ready(
            self.daemon, container.id, settings, url_of(container.id, settings.port, self.daemon, self.reach), report
        )

    def can_scale(self, service: Service) -> None:
        """It can't: every service has one container."""
        summary = f"{service.name} runs as one container on this Docker; scaling needs a cluster"
        raise UsageError(summary, hint="name an environment with a cluster", commands=[NextCommand("env.list")])

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:  # noqa: ARG002  it can't
        """Raise UsageError: a service has one container."""
        self.can_scale(service)

    @contextmanager
    def forward(self, service: str, port: int | None) -> Iterator[str]:
        """Where this machine reaches the port that the service publishes, or a tunnel to it from another one."""
        container = in_front(self.state.facts(), self._deployed(service))
        published = next(iter(container.ports.values()), None)
        if published is None:
            raise Problem(f"{service} publishes no port", commands=[deploy_command(service)])
        url = self.reach.url(published[1])
        if port is None or url == f"http://127.0.0.1:{port}":
            yield url
            return
        with tunnel(port, partial(self.reach.connect, published[1])):
            yield f"http://127.0.0.1:{port}"

    def known_services(self) -> frozenset[str]:
        """Those that a container or a volume is labelled with."""
        state = self.state.facts()
        found = (*(one.labels for one in state.containers), *(one.labels for one in state.volumes))
        return frozenset(labels[SERVICE] for labels in found if SERVICE in labels)

    def down(self, services: Sequence[str], report: Reporter) -> None:
        """Remove the containers of these services, and with the last of them the networks of the project.

        Those of no service go too where the run that made them has ended.
        """
        threads = Threads(STOPPED_AT_ONCE)
        removals = [
            threads.submit(self._remove, container, report)
            for container in self.daemon.state(self.names.project).containers
            if container.labels.get(SERVICE) in services
            or (SERVICE not in container.labels and left_behind(container.labels))
        ]
        for removal in removals:
            removal.result()
        mend(self.daemon, self.names, self.edge, report)
        left = self.daemon.state(self.names.project)
        attached = [one for one in left.containers if one.labels.get(ROLE) != SECRETS_HOLDER]
        for network in () if attached else sorted({*left.networks}):  # a smoke test's too, which was kept
            self.daemon.networks.remove(network)

    def _remove(self, container: Container, report: Reporter) -> None:
        if container.active:
            self.daemon.containers.stop(container.id, GRACE)
        self.daemon.containers.remove(container.id)
        report.note(f"{container.name} removed")

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:
        """Remove the volumes of these services, records among them, and with `everything` that of generated secrets."""
        for volume in self.daemon.state(self.names.project).volumes:
            secrets = volume.name == self.names.secrets
            if secrets and everything:
                self.daemon.containers.remove(self.names.secrets)
            own = volume.name in {self.names.secrets, self.names.certificates}
            if volume.labels.get(SERVICE) in services or (everything and own):
                self.daemon.volumes.remove(volume.name)
                report.note(f"volume {volume.name} removed")

    def _deployed(self, service: str) -> Container:
        container = self.state.facts().container(self.names.container(service))
        if container is None:
            raise UsageError(f"{service} is not deployed here", commands=[deploy_command(service)])
        return container
