"""A service under development on this machine's Docker: beside fresh containers of all that it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.checks.runner import CheckRunner
from slipway.docker.labels import Names
from slipway.docker.protocols import Daemon
from slipway.flows.dev_environment import AnyRelease
from slipway.flows.selection import Selection
from slipway.flows.services import AnyService

if TYPE_CHECKING:
    from slipway.deployers.dev_run import DevRun, DevSpec


@dataclass(frozen=True)
class DockerDev:
    """A `DevEnvironment` of one Docker, which publishes only what listens on every interface: on loopback."""

    docker: Daemon
    names: Names
    checks: CheckRunner
    address: str = "0.0.0.0"  # noqa: S104  of the container alone

    def started(self, selection: Selection) -> tuple[AnyService, ...]:
        """The service and all that it needs."""
        return selection.tested

    def run(self, selection: Selection, desired: Callable[[str], AnyRelease], spec: DevSpec) -> DevRun:
        """Its container, and one of each that it needs."""
        from slipway.deployers.docker.dev_run import DevContainers

        needs = {one.name: one.needs for one in selection.tested}
        (service,) = selection.names
        return DevContainers(
            self.docker, self.names, desired, needs.__getitem__, set, self.checks, name=service, spec=spec
        )
