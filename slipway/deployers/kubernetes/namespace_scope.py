"""A project's namespace on a cluster: what deploys to it are made with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from slipway.checks.runner import CheckRunner
from slipway.engine.reporter import Reporter
from slipway.hosts.host import Host
from slipway.kubernetes.client import Client
from slipway.kubernetes.workload import Workload


class ClusterChecks(Protocol):
    """Checks run from inside a cluster."""

    def prepare(self, report: Reporter) -> None:
        """Begin to make what they are run from; it returns at once."""

    def runner(self, workload: Workload, report: Reporter) -> AbstractContextManager[CheckRunner]:
        """What runs those of a workload."""

    def delete_left_over(self) -> None:
        """Delete what killed runs have left."""


@dataclass(frozen=True)
class NamespaceScope:
    """`host` runs kubectl; `checks` are run from inside the cluster; `who` is named as the lease's holder."""

    cluster: Client
    project: str
    namespace: str
    host: Host
    checks: ClusterChecks
    who: str

    def workload(self, service: str) -> Workload:
        """A service's Deployment and pods."""
        return Workload(self.cluster, self.project, self.namespace, service)
