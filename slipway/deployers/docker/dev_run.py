"""The containers of a service under development: it and what it needs, as a smoke test starts them, until it ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from slipway.checks.report import CheckReport
from slipway.deployers.dev_run import FOLDER, TOOL_OPTIONS, VOLUME, DevSpec
from slipway.deployers.docker.smoke_test import SmokeTestRun
from slipway.docker.container_spec import ContainerSpec
from slipway.engine.reporter import Reporter
from slipway.errors import ConnectionLost, Problem


@dataclass(kw_only=True)
class DevContainers(SmokeTestRun):
    """A `DevRun` of the service `name`, beside containers of what it needs."""

    name: str
    spec: DevSpec

    def start(self, report: Reporter) -> None:
        """Start the service and what it needs, until `close`. Raises Problem with the last log lines of all of them."""
        try:
            self._start_all((*self.needs(self.name), self.name), report)
        except ConnectionLost:
            raise
        except Problem as problem:
            details = self.with_evidence(problem, self.name)
            raise Problem(problem.summary, details=details, hint=problem.hint, commands=problem.commands) from problem

    def check(self, report: Reporter) -> CheckReport:
        """Run the service's checks."""
        return self._check(self.name, report)

    def record(self, namespaces: Collection[str]) -> None:
        """Nothing: it is nobody else's."""

    @property
    def log_command(self) -> str:
        """The command that follows its log."""
        return f"docker logs --follow {self._name(self.name)}"

    @property
    def address(self) -> str:
        """The URL of the service."""
        return self._address(self.name)

    def published(self, port: int) -> int:
        """The port of this machine behind which a port of the service's container is."""
        return self.daemon.containers.inspect(self._containers[self.name]).ports[port][1]

    def _create(self, name: str) -> str:
        container = super()._create(name)
        if name == self.name:
            files = {f"{FOLDER.removeprefix(VOLUME)[1:]}/{path}": text for path, text in self.spec.files.items()}
            self.daemon.io.write_folder(container, VOLUME, files)
        return container

    def _spec(self, name: str) -> ContainerSpec:
        spec = super()._spec(name)
        if name != self.name:
            return spec
        return replace(
            spec,
            env={**spec.env, TOOL_OPTIONS: self.spec.tool_options(spec.env)},
            publish={**spec.publish, **dict.fromkeys(self.spec.ports, 0)},
            scratch=(*spec.scratch, VOLUME),
        )
