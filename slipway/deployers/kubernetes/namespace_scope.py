"""A project's namespace on a cluster: what deploys to it are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from slipway.checks.report import CheckReport
from slipway.config.models import Check
from slipway.engine.reporter import Reporter
from slipway.hosts.host import Host
from slipway.kubernetes.client import Client
from slipway.kubernetes.workload import Workload


@dataclass(frozen=True)
class EarlyResult:
    """What checks said at a pod (`10.0.0.7:8080`) while the rollout went on.

    `by_name` tells whether the service was reached by its name as well: earlier pods answer there until then.
    """

    pod: str
    checks: CheckReport
    by_name: bool


class ReleaseChecks(Protocol):
    """Runs the checks of one service: behind a rollout, or early, at a pod of it."""

    def run(
        self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter, early: EarlyResult | None = None
    ) -> CheckReport:
        """Run every check at these addresses (URLs by variable), in order, unless all have passed early."""

    def run_early(
        self, pod: str, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter
    ) -> EarlyResult:
        """Run every check, in order; those of the service itself are sent to a pod."""

    def wait_for_answer(self, pod: str, path: str, report: Reporter) -> None:
        """Wait until a pod answers at a path as its node expects of one that is ready: with a status below 400."""


class ClusterChecks(Protocol):
    """Checks run from inside a cluster."""

    def prepare(self) -> bool:
        """Begin to make what they are run from, and return at once; False where there is room for it only later."""

    def runner(self, workload: Workload, report: Reporter) -> AbstractContextManager[ReleaseChecks]:
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
