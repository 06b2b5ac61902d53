"""Replace a service's container with one of a new release, and restore the earlier one when the new one fails."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.checks.runner import CheckRunner
from slipway.config.models import Service
from slipway.deployers.deployer import addresses
from slipway.deployers.docker.evidence import evidence
from slipway.deployers.docker.readiness import wait_until_ready
from slipway.deployers.docker.release_store import release_of
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL, RELEASE, ROLE, SERVICE, Names
from slipway.docker.protocols import Daemon
from slipway.docker.reach import Reach
from slipway.docker.state import Container, State
from slipway.engine.reporter import Reporter, uncancellable
from slipway.errors import ConnectionLost, Problem, deploy_command

GRACE = 20  # seconds that a container gets to stop: services finish running requests, for up to 18


@dataclass(frozen=True)
class ContainerReplacement:
    """Replaces containers of one project on one daemon. What a killed replacement leaves, the next one finishes."""

    daemon: Daemon
    names: Names
    checks: CheckRunner
    reach: Reach

    def replace(self, state: State, service: Service, want: ContainerSpec, report: Reporter) -> Mapping[str, bool]:
        """Replace a service's container and check the new one; the results of its checks.

        When that fails, the earlier container is restored, and Problem raised with the evidence and, as its hint, what
        runs now. ConnectionLost is raised where the daemon stopped answering.
        """
        self._refuse_foreign_containers(service.name)
        self.daemon.networks.create(self.names.project, {LABEL: self.names.project})
        for volume in want.volumes:
            self.daemon.volumes.create(volume, {LABEL: self.names.project, SERVICE: service.name, ROLE: "data"})
        earlier = self._finish_interrupted(state, service, report)
        created = ""
        try:
            created = self._create(want, earlier, service)
            return self._run(created, earlier, service, report)
        except BaseException as error:
            lines = evidence(self.daemon, created) if created else ""
            lost = isinstance(error, ConnectionLost)
            commands = error.commands if isinstance(error, Problem) else ()
            try:
                outcome = self._roll_back(created, earlier, service, report)
            except Problem as problem:
                lost = lost or isinstance(problem, ConnectionLost)
                outcome = f"rollback failed: {problem.summary}; the next deploy completes it"
                commands = (*commands, deploy_command(service.name))
            report.note(outcome)
            if not isinstance(error, Problem):
                raise
            details, hint = f"{error.details}\n{lines}".strip(), f"{error.hint}\n{outcome}".strip()
            if lost:
                raise ConnectionLost(
                    error.summary, details=details, hint=hint, commands=commands, changed=True
                ) from error
            raise Problem(error.summary, details=details, hint=hint, commands=commands) from error

    def _create(self, want: ContainerSpec, earlier: Container | None, service: Service) -> str:
        """Create the new container under its own name, which the earlier one loses; its id."""
        if earlier:
            self.daemon.containers.rename(earlier.id, self.names.previous(service.name))
        return self.daemon.containers.create(want)

    def _run(self, created: str, earlier: Container | None, service: Service, report: Reporter) -> Mapping[str, bool]:
        """Run the new container in place of the earlier one, whose port it has; the results of its checks."""
        began = time.monotonic()
        if earlier:
            self.daemon.containers.stop(earlier.id, GRACE)
        if proxy := self._proxy(service.name):  # it has that port too, where the environment had one before
            self.daemon.containers.stop(proxy.id, 0)
        self.daemon.containers.start(created)
        wait_until_ready(self.daemon, created, service, self.reach.url(service.published), report)
        report.note(f"running after a gap of {time.monotonic() - began:.1f} s" if earlier else "running")
        return self._check(service, report)

    def _proxy(self, service: str) -> Container | None:
        """The proxy in front of a service's container, if there is one."""
        found = self.daemon.containers.find(self.names.proxy(service))
        return found if found and found.labels.get(LABEL) == self.names.project else None

    def _finish_interrupted(self, state: State, service: Service, report: Reporter) -> Container | None:
        """The container to replace. Of two that an interrupted replacement left, the one with a record stays."""
        if untried := state.container(self.names.next(service.name)):
            self.daemon.containers.remove(untried.id)
        current = state.container(self.names.container(service.name))
        previous = state.container(self.names.previous(service.name))
        if previous is None:
            return current
        if current and current.running and release_of(state, current):
            self._end(previous, service, report)
            return current
        report.note("cleaning up after an interrupted deploy")
        self._restore(previous, current, service, report)
        return self.daemon.containers.inspect(previous.id)

    def _restore(self, previous: Container, current: Container | None, service: Service, report: Reporter) -> None:  # noqa: ARG002
        """Give the earlier container its name again, in place of one that may not have passed its checks."""
        if current:
            self.daemon.containers.remove(current.id)
        self.daemon.containers.rename(previous.id, self.names.container(service.name))

    def clear(self, service: Service, report: Reporter) -> None:
        """Remove what the running container has replaced: the one before, and a proxy that was in front of that."""
        if previous := self.daemon.containers.find(self.names.previous(service.name)):
            self._end(previous, service, report)
        if proxy := self._proxy(service.name):
            self.daemon.containers.remove(proxy.id)

    def _end(self, previous: Container, service: Service, report: Reporter) -> None:  # noqa: ARG002
        """Remove a container that is stopped already."""
        self.daemon.containers.remove(previous.id)

    def _refuse_foreign_containers(self, service: str) -> None:
        """Raise Problem if a container that is not this project's has a name that the replacement needs."""
        for name in self._needed_names(service):
            found = self.daemon.containers.find(name)
            project = found.labels.get(LABEL) if found else self.names.project
            if project != self.names.project:
                whose = f"of project {project}" if project else "created by hand"
                hint = f"keep it under another name: docker rename {name} {name}_other\n"
                hint += "or change `short` in config/slipway.yaml"
                raise Problem(f"{service}: container {name} already exists, {whose}", hint=hint)

    def _needed_names(self, service: str) -> tuple[str, ...]:
        return self.names.container(service), self.names.previous(service)

    def _check(self, service: Service, report: Reporter, url: str = "") -> Mapping[str, bool]:
        """The results of the live checks, of a container at `url`. Raises Problem with those that fail."""

        def address(name: str) -> str:
            return url if url and name == service.name else self._address(name)

        outcome = self.checks.run(service.checks, addresses(service, address), report)
        if not outcome.ok:
            raise Problem(f"{service.name}: live checks failed: {outcome.failed}", details=outcome.text)
        return outcome.record

    def _address(self, service: str) -> str:
        """The URL at which this machine reaches a running service."""
        container = self.daemon.containers.find(self.names.container(service))
        ports = container.ports.values() if container and container.running else ()
        for _, port in ports:
            return self.reach.url(port)
        raise Problem(f"{service} is not running here", commands=[deploy_command(service)])

    def _roll_back(self, created: str, earlier: Container | None, service: Service, report: Reporter) -> str:
        """Remove the new container, restore the earlier one and check it; says what runs now."""
        if created:
            self.daemon.containers.remove(created)
        if earlier is None:
            return f"{service.name} is not running; the failed first release was removed"
        if proxy := self._proxy(service.name):
            self.daemon.containers.start(proxy.id)
        name = self.names.container(service.name)
        if self.daemon.containers.inspect(earlier.id).name != name:
            self.daemon.containers.rename(earlier.id, name)
        self.daemon.containers.start(earlier.id)
        number = earlier.labels.get(RELEASE, "?")
        release = release_of(self.daemon.state(self.names.project), earlier)
        settings = release.settings if release else service
        report = uncancellable(report)  # an interruption must not interrupt the rollback
        try:
            wait_until_ready(self.daemon, earlier.id, settings, self.reach.url(settings.published), report)
            self._check(settings, report)
        except ConnectionLost:
            raise
        except Problem as problem:
            return f"release {number} was restored, but its checks failed: {problem.summary}"
        return f"release {number} of {service.name} is running again; fix the cause and deploy once more"
