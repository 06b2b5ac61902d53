"""Where a service under development runs: in containers of this machine's Docker, or in a pod of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from slipway.deployers.deployer import DesiredRelease
from slipway.flows.selection import Selection
from slipway.flows.services import AnyService

if TYPE_CHECKING:
    from slipway.deployers.dev_run import DevRun, DevSpec

AnyRelease = DesiredRelease[Any]


class DevEnvironment(Protocol):
    """What differs of a session by where it runs."""

    @property
    def address(self) -> str:
        """What the REPLs listen on in the service's container, so that they are reached from loopback alone."""

    def started(self, selection: Selection) -> tuple[AnyService, ...]:
        """The services that a session starts, of which it needs images. Others run already."""

    def run(self, selection: Selection, desired: Callable[[str], AnyRelease], spec: DevSpec) -> DevRun:
        """The chosen service, to be started; `desired` is a service's release of the sources as they stand."""
