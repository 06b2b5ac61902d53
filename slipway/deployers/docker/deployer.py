"""The environment `local`: one container per service on this machine's Docker, swapped only for a tested one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from slipway.config.models import Service
from slipway.deployers.deployer import UNRECORDED, Ask, Pod, Release, Secrets, ServiceStatus, Verify, Wanted, pick
from slipway.deployers.docker.container import MANIFEST, ROLE, SERVICE, Names, differs, ready, spec
from slipway.deployers.docker.release_store import SecretStore, keep, last, recorded, releases
from slipway.deployers.docker.replace_container import GRACE, ContainerReplacement, loopback
from slipway.docker.protocols import LABEL, Container, Daemon, State
from slipway.engine.steps import Probe, Reporter
from slipway.errors import Problem, UsageError

KEPT = 10  # releases of a service, and their images


class DockerTarget:
    """See `Target`. `probe` reads the daemon once; every deed here ends with the daemon as the truth."""

    def __init__(self, daemon: Daemon, names: Names, probe: Probe[State], ask: Ask) -> None:
        self.daemon = daemon
        self._swap = ContainerReplacement(daemon, names, ask)
        self._secrets = SecretStore(daemon, names)
        self.names = names
        self.probe = probe

    def differs(self, facts: State, wanted: Wanted) -> str | None:
        """See `Target.differs`."""
        container = facts.container(self.names.container(wanted.service.name))
        reason = differs(container, spec(self.names, wanted, 0))
        if reason is None and recorded(facts, container) is None:
            reason = UNRECORDED
        return reason

    def apply(self, wanted: Wanted, verify: Verify, report: Reporter) -> None:
        """See `Target.apply`. A kill at any moment leaves the earlier container, stopped or running, by its name."""
        state = self.daemon.state(self.names.project)
        number = last(state, wanted.service.name) + 1
        want = spec(self.names, wanted, number)
        checks = self._swap.put(state, wanted.service, want, verify, report)
        keep(self.daemon, self.names, wanted, want, checks)
        self._clear(wanted.service.name, report)

    def rollback(self, release: Release, secrets: Secrets, verify: Verify, report: Reporter) -> None:
        """Serve a kept release again, with the settings and the number that it had."""
        state = self.daemon.state(self.names.project)
        if not any(image.id == release.image for image in state.images):
            hint = f"./invoke history --service {release.service}"
            raise Problem(f"the image of release {release.number} is gone from this Docker", hint=hint)
        values = secrets(release.settings)
        wanted = Wanted(release.settings, release.image, release.source, values, release.who, release.commit)
        want = spec(self.names, wanted, release.number)
        want = replace(want, labels={**want.labels, MANIFEST: release.manifest})
        self._swap.put(state, release.settings, want, verify, report)
        self._clear(release.service, report)

    def earlier(self, service: str, number: int | None) -> Release:
        """See `Target.earlier`."""
        return pick(service, self.history(service), self.serving(service), number)

    def _clear(self, service: str, report: Reporter) -> None:
        """Remove the container that was replaced, and what is older than the kept releases."""
        before = self.daemon.state(self.names.project).container(self.names.previous(service))
        if before:
            self.daemon.remove(before.id)
        self._prune(service, report)

    def _prune(self, service: str, report: Reporter) -> None:
        """Remove records and images beyond the newest `KEPT` releases; what another release needs stays."""
        state = self.daemon.state(self.names.project)
        known = releases(state, service)
        kept = {release.image for release in known[:KEPT]}
        for release in known[KEPT:]:
            self.daemon.remove_volume(self.names.release(service, release.number))
        for image in state.images:
            if image.labels.get(SERVICE) == service and image.labels.get(LABEL) == self.names.project:
                old = image.id not in kept and any(release.image == image.id for release in known[KEPT:])
                for tag in image.tags if old else ():
                    self.daemon.untag(tag)
                    report.note(f"{tag} is older than the newest {KEPT} releases and was removed")

    def status(self) -> list[ServiceStatus]:
        """See `Target.status`."""
        state = self.probe.facts()
        found = [c for c in state.containers if c.labels.get(ROLE) == "serving" and not c.name.endswith("_previous")]
        return sorted((self._live(state, container) for container in found), key=lambda live: live.name)

    def _live(self, state: State, container: Container) -> ServiceStatus:
        release = recorded(state, container)
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
            containers=(Pod(container.name, container.state),),
        )

    def history(self, service: str | None) -> list[Release]:
        """See `Target.history`."""
        return releases(self.probe.facts(), service)

    def serving(self, service: str) -> Release | None:
        """The recorded release that serves."""
        state = self.probe.facts()
        return recorded(state, state.container(self.names.container(service)))

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """See `Target.logs`."""
        return self.daemon.logs(self._there(service).id, tail, follow=follow)

    def nodes(self) -> list[Mapping[str, Any]]:
        """See `Target.nodes`: one machine, which plans nothing."""
        return []

    def warnings(self) -> list[str]:
        """See `Target.warnings`."""
        return []

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:  # noqa: ARG002  it can't
        """See `Target.scale`."""
        hint = f"./invoke scale --service {service.name} --replicas {replicas or 2} --env minikube"
        summary = "environment local runs one container of each service; scaling needs a cluster"
        raise UsageError(summary, hint=hint)

    def generated(self, facts: State) -> dict[str, str]:
        """See `Target.generated`."""
        return self._secrets.read(facts)

    def keep(self, values: Mapping[str, str], report: Reporter) -> str:  # noqa: ARG002  this machine's lock is held
        """See `Target.keep`."""
        self._secrets.write(self.daemon.state(self.names.project), values)
        return f"kept in volume {self.names.secrets}"

    def restart(self, service: Service, report: Reporter) -> None:
        """Stop and start the serving container, and wait until it answers."""
        container = self._there(service.name)
        self.daemon.stop(container.id, GRACE)
        self.daemon.start(container.id)
        ready(self.daemon, container.id, service, loopback(service), report)

    @contextmanager
    def forward(self, service: str, port: int | None) -> Iterator[str]:
        """See `Target.forward`: a container here is published on loopback already."""
        container = self._there(service)
        here = next(iter(container.ports.values()), None)
        if here is None:
            raise Problem(f"{service} publishes no port", hint="./invoke deploy")
        if port is None or port == here[1]:
            yield f"http://127.0.0.1:{here[1]}"
            return
        import socket

        from slipway.hosts.tunnels import tunnel

        with tunnel(port, lambda: socket.create_connection(here)):
            yield f"http://127.0.0.1:{port}"

    def down(self, services: Sequence[str], report: Reporter) -> None:
        """Remove the workloads of these services; data, secrets and history stay."""
        state = self.daemon.state(self.names.project)
        for container in state.containers:
            if container.labels.get(SERVICE) in services:
                if container.active:
                    self.daemon.stop(container.id, GRACE)
                self.daemon.remove(container.id)
                report.note(f"{container.name} removed")
        left = self.daemon.state(self.names.project)
        if not left.containers and self.names.project in left.networks:
            self.daemon.remove_network(self.names.project)

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:
        """Remove data and history of these services, and the project's generated secrets with the last of them."""
        state = self.daemon.state(self.names.project)
        for volume in state.volumes:
            if volume.labels.get(SERVICE) in services or (everything and volume.name == self.names.secrets):
                self.daemon.remove_volume(volume.name)
                report.note(f"volume {volume.name} removed")

    def _there(self, service: str) -> Container:
        container = self.probe.facts().container(self.names.container(service))
        if container is None:
            raise UsageError(f"{service} is not deployed here", hint=f"./invoke deploy --service {service}")
        return container
