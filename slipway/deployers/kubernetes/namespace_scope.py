"""A project's namespace on a cluster: what deploys to it are made with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from slipway.checks.runner import CheckRunner
from slipway.engine.reporter import Reporter
from slipway.hosts.host import Host
from slipway.kubernetes.client import Client
from slipway.kubernetes.workload import Workload


@dataclass(frozen=True)
class NamespaceScope:
    """`host` runs kubectl; `check_runner` runs checks from inside the cluster; `who` is named as the lease's holder."""

    cluster: Client
    project: str
    namespace: str
    host: Host
    check_runner: Callable[[Reporter], AbstractContextManager[CheckRunner]]
    who: str

    def workload(self, service: str) -> Workload:
        """A service's Deployment and pods."""
        return Workload(self.cluster, self.project, self.namespace, service)
