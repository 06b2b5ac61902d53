"""Checks of a cluster that are run by whatever a test gives."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from slipway.checks.fake import FakeCheckRunner
from slipway.checks.runner import CheckRunner
from slipway.engine.reporter import Reporter
from slipway.kubernetes.workload import Workload


class FakeClusterChecks:
    """`ClusterChecks` without a pod."""

    def __init__(self, runner: CheckRunner | None = None) -> None:
        self._runner = runner or FakeCheckRunner()
        self.prepared = 0

    def prepare(self, report: Reporter) -> None:  # noqa: ARG002
        self.prepared += 1

    def runner(self, workload: Workload, report: Reporter) -> AbstractContextManager[CheckRunner]:  # noqa: ARG002
        return nullcontext(self._runner)

    def delete_left_over(self) -> None:
        """There is nothing."""


class NoChecks(FakeClusterChecks):
    """Where nobody asks for checks."""

    def runner(self, workload: Workload, report: Reporter) -> AbstractContextManager[CheckRunner]:  # noqa: ARG002
        raise AssertionError("nobody asks checks where there are none")
