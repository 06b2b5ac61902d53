"""Checks of a cluster that are run by whatever a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from slipway.checks.fake import FakeCheckRunner
from slipway.checks.report import CheckReport
from slipway.checks.runner import CheckRunner
from slipway.config.models import Check
from slipway.deployers.kubernetes.namespace_scope import EarlyResult, ReleaseChecks
from slipway.engine.reporter import Reporter
from slipway.kubernetes.workload import Workload


class Behind:
    """`ReleaseChecks` that never run early."""

    def __init__(self, runner: CheckRunner) -> None:
        self._runner = runner

    def run(
        self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter, early: EarlyResult | None = None
    ) -> CheckReport:
        assert early is None
        return self._runner.run(checks, addresses, report)

    def run_early(
        self, pod: str, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter
    ) -> EarlyResult:
        raise NotImplementedError

    def wait_for_answer(self, pod: str, path: str, report: Reporter) -> None:
        raise NotImplementedError


class FakeClusterChecks:
    """`ClusterChecks` without a pod."""

    def __init__(self, runner: CheckRunner | None = None) -> None:
        self._runner = runner or FakeCheckRunner()
        self.prepared = 0

    def prepare(self) -> bool:
        """They are run behind a rollout alone."""
        self.prepared += 1
        return False

    def runner(self, workload: Workload, report: Reporter) -> AbstractContextManager[ReleaseChecks]:  # noqa: ARG002
        return nullcontext(Behind(self._runner))

    def delete_left_over(self) -> None:
        """There is nothing."""


class NoChecks(FakeClusterChecks):
    """Where nobody asks for checks."""

    def runner(self, workload: Workload, report: Reporter) -> AbstractContextManager[ReleaseChecks]:  # noqa: ARG002
        raise AssertionError("nobody asks checks where there are none")
