"""A service under development on a cluster: one pod, which uses the running releases of what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipway.checks.runner import CheckRunner
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.engine.reporter import Reporter
from slipway.flows.dev_environment import AnyRelease
from slipway.flows.selection import Selection
from slipway.flows.services import AnyService

if TYPE_CHECKING:
    from slipway.deployers.deployments import Deployments
    from slipway.deployers.dev_run import DevRun, DevSpec


@dataclass(frozen=True)
class ClusterDev:
    """A `DevEnvironment` of one namespace. `image` brings the image of what fills the pod; the REPLs are forwarded."""

    namespace: ProjectNamespace
    deployments: Deployments[Any, Any]
    checks: CheckRunner
    image: Callable[[Reporter], str]
    address: str = "127.0.0.1"  # of the pod

    def started(self, selection: Selection) -> tuple[AnyService, ...]:
        """The service alone."""
        return selection.chosen

    def run(self, selection: Selection, desired: Callable[[str], AnyRelease], spec: DevSpec) -> DevRun:
        """Its pod."""
        from slipway.deployers.kubernetes.dev_run import DevPod

        (service,) = selection.names
        forward = self.deployments.operations.forward
        return DevPod(self.namespace, desired(service), spec, self.checks, self.image, forward)
