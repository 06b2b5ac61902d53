"""A container put in the earlier one's place and proven; the earlier one comes back if that fails."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.checks.runner import CheckRunner
from slipway.config.models import Service
from slipway.deployers.deployer import addresses
from slipway.deployers.docker.container import ready
from slipway.deployers.docker.release_store import recorded
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL, RELEASE, ROLE, SERVICE, Names
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container, State
from slipway.engine.reporter import Reporter, uncancellable
from slipway.errors import ConnectionLost, Problem

GRACE = 20  # seconds that a container gets to stop: services finish what they were asked, for up to 18


def loopback(service: Service) -> str:
    """Where this machine reaches a service."""
    return f"http://127.0.0.1:{service.published}"


@dataclass(frozen=True)
class ContainerReplacement:
    """The swaps of one project on one daemon; a kill at any moment leaves what the next one settles."""

    daemon: Daemon
    names: Names
    checks: CheckRunner

    def replace(self, state: State, service: Service, want: ContainerSpec, report: Reporter) -> Mapping[str, bool]:
        """Put a container in the earlier one's place and prove it; the earlier one comes back if that fails.

        Raises Problem, or Lost where Docker went away, with what serves now as advice.
        """
        self._refuse_others(service.name)
        self.daemon.networks.create(self.names.project, {LABEL: self.names.project})
        for volume in want.volumes:
            self.daemon.volumes.create(volume, {LABEL: self.names.project, SERVICE: service.name, ROLE: "data"})
        earlier = self._settle(state, service.name, report)
        began = time.monotonic()
        made = ""
        try:
            if earlier:
                self.daemon.containers.rename(earlier.id, self.names.previous(service.name))
                self.daemon.containers.stop(earlier.id, GRACE)
            made = self.daemon.containers.create(want)
            self.daemon.containers.start(made)
            ready(self.daemon, made, service, loopback(service), report)
            report.note(f"it serves after a gap of {time.monotonic() - began:.1f} s" if earlier else "it serves")
            return self._proven(service, report)
        except BaseException as error:
            evidence = self._evidence(made)
            lost = isinstance(error, ConnectionLost)
            try:
                serving = self._restore(made, earlier, service, report)
            except Problem as back:
                lost = lost or isinstance(back, ConnectionLost)
                again = f"./invoke deploy --service {service.name}"
                serving = f"the way back failed: {back.summary}; {again} finishes it first"
            report.note(serving)
            if not isinstance(error, Problem):
                raise
            details, hint = f"{error.details}\n{evidence}".strip(), f"{error.hint}\n{serving}".strip()
            if lost:
                raise ConnectionLost(error.summary, details=details, hint=hint, changed=True) from error
            raise Problem(error.summary, details=details, hint=hint) from error

    def _settle(self, state: State, service: str, report: Reporter) -> Container | None:
        """Finish what an interrupted swap left: the container that has a record stays, and is what comes back."""
        here = state.container(self.names.container(service))
        before = state.container(self.names.previous(service))
        if before is None:
            return here
        if here and (here.running and recorded(state, here)):
            self.daemon.containers.remove(before.id)
            return here
        report.note("an interrupted deploy is cleared away first")
        if here:
            self.daemon.containers.remove(here.id)
        self.daemon.containers.rename(before.id, self.names.container(service))
        return self.daemon.containers.inspect(before.id)

    def _refuse_others(self, service: str) -> None:
        """Raise Problem if a container that is not this project's has a name that the swap takes."""
        for name in (self.names.container(service), self.names.previous(service)):
            found = self.daemon.containers.find(name)
            owner = found.labels.get(LABEL) if found else self.names.project
            if owner != self.names.project:
                whose = f"of project {owner}" if owner else "made by hand"
                hint = f"docker rename {name} {name}_other keeps it aside; or change `short` in config/slipway.yaml"
                raise Problem(f"{service}: there is a container {name} already, {whose}", hint=hint)

    def _proven(self, service: Service, report: Reporter) -> Mapping[str, bool]:
        """The results of the live checks. Raises Problem with the evidence of those that fail."""
        outcome = self.checks.run(service.checks, addresses(service, self._address), report)
        if not outcome.ok:
            failed = ", ".join(check for check, ok in outcome.record.items() if not ok)
            raise Problem(f"{service.name}: live checks failed: {failed}", details=outcome.text)
        return outcome.record

    def _address(self, service: str) -> str:
        """Where this machine reaches a service that serves."""
        container = self.daemon.containers.find(self.names.container(service))
        ports = container.ports.values() if container and container.running else ()
        for address, port in ports:
            return f"http://{address}:{port}"
        raise Problem(f"{service} does not run here", hint=f"./invoke deploy --service {service}")

    def _restore(self, made: str, earlier: Container | None, service: Service, report: Reporter) -> str:
        """Put the earlier container back and prove it; says what serves now, as advice behind a failure."""
        if made:
            self.daemon.containers.remove(made)
        if earlier is None:
            return f"{service.name} is not running; the failed first release was removed"
        name = self.names.container(service.name)
        if self.daemon.containers.inspect(earlier.id).name != name:
            self.daemon.containers.rename(earlier.id, name)
        self.daemon.containers.start(earlier.id)
        number = earlier.labels.get(RELEASE, "?")
        release = recorded(self.daemon.state(self.names.project), earlier)
        settings = release.settings if release else service
        report = uncancellable(report)  # an interruption must not interrupt the rollback
        try:
            ready(self.daemon, earlier.id, settings, loopback(settings), report)
            self._proven(settings, report)
        except Problem as problem:
            return f"release {number} was restored, but its checks failed: {problem.summary}"
        return f"release {number} of {service.name} is running again; fix the cause and deploy once more"

    def _evidence(self, container: str) -> str:
        if not container:
            return ""
        try:
            found = self.daemon.containers.inspect(container)
            lines = list(self.daemon.io.logs(container, 50, follow=False))
        except Problem:
            return ""
        return "\n".join((f"{found.name}: {found.state}, exit code {found.exit_code}; its last lines:", *lines))
