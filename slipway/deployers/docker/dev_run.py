"""The containers of a service under development: it and what it needs, as a smoke test starts them, until it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from slipway.checks.report import CheckReport
from slipway.deployers.docker.smoke_test import SmokeTestRun
from slipway.docker.container_spec import ContainerSpec
from slipway.engine.reporter import Reporter
from slipway.errors import ConnectionLost, Problem

VOLUME = "/slipway"  # in the service's container
FOLDER = f"{VOLUME}/sources"  # in which the service may write too
TOOL_OPTIONS = "JAVA_TOOL_OPTIONS"  # which a JVM reads however it is started


@dataclass(kw_only=True)
class DevRun(SmokeTestRun):
    """The service `name` with sources of its own (`files`, by their paths in FOLDER), more ports and JVM options."""

    name: str
    java_options: str
    ports: tuple[int, ...]
    files: Mapping[str, bytes] = field(repr=False)

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

    @property
    def container(self) -> str:
        """The name of the service's container."""
        return self._name(self.name)

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
            files = {f"{FOLDER.removeprefix(VOLUME)[1:]}/{path}": text for path, text in self.files.items()}
            self.daemon.io.write_folder(container, VOLUME, files)
        return container

    def _spec(self, name: str) -> ContainerSpec:
        spec = super()._spec(name)
        if name != self.name:
            return spec
        options = " ".join(filter(None, (spec.env.get(TOOL_OPTIONS), self.java_options)))
        return replace(
            spec,
            env={**spec.env, TOOL_OPTIONS: options},
            publish={**spec.publish, **dict.fromkeys(self.ports, 0)},
            scratch=(*spec.scratch, VOLUME),
        )
