"""Checks that run beside a rollout: when they count."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import pytest

from slipway.checks.report import CheckReport, CheckResult
from slipway.config.models import Check, Health, Service
from slipway.deployers.kubernetes import early_checks
from slipway.deployers.kubernetes.namespace_scope import EarlyResult, NamespaceScope
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.rolling import NEW, Rolling

CHECK = Check.model_validate({"name": "it answers", "curl": 'curl "$BASE/"', "expect": {"status": 200}})
WEB = Service(name="web", port=8080, health=Health(ready="/ready"), checks=(CHECK,))


class Early:
    """`ClusterChecks` of a pod that answers once `answers` is set; `unreachable`: never."""

    def __init__(self, *failures: str, room: bool = True, unreachable: bool = False) -> None:
        self.failures, self.room, self.unreachable = failures, room, unreachable
        self.answers, self.waits, self.ran, self.cancelled = (threading.Event() for _ in range(4))
        self.asked = list[str]()

    def prepare(self) -> bool:
        return self.room

    def runner(self, workload: Workload, report: Reporter) -> AbstractContextManager[Early]:
        assert workload.service == "web"
        report.cancel.on_request(self.cancelled.set)
        return nullcontext(self)

    def delete_left_over(self) -> None:
        raise NotImplementedError

    def run(
        self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter, early: EarlyResult | None = None
    ) -> CheckReport:
        raise NotImplementedError

    def wait_for_answer(self, pod: str, path: str, report: Reporter) -> None:
        self.asked.append(f"{pod}{path}")
        self.waits.set()
        while not self.answers.wait(0.01):
            report.cancel.check()
        if self.unreachable:
            self.ran.set()
            raise Problem("it can't be asked")

    def run_early(
        self, pod: str, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter
    ) -> EarlyResult:
        assert addresses == {"BASE": "http://web.hh.svc:80"}
        report.cancel.check()
        self.ran.set()
        results = tuple(CheckResult(check.name, "curl", self.failures) for check in checks)
        return EarlyResult(pod, CheckReport(results), by_name=True)


def begun(checks: Early, service: Service = WEB) -> AbstractContextManager[early_checks.EarlyChecks | None]:
    cluster = Rolling([NEW])
    meta = {"name": "web", "namespace": "hh"}
    cluster.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": 80}]}})
    scope = NamespaceScope(cluster, "hh", "hh", FakeHost("h", Facts("Linux", "x")), checks, "me")
    return early_checks.begin(scope, service)


def test_checks_that_pass_at_the_first_pod_count() -> None:
    checks = Early()
    with begun(checks) as early:
        assert early
        assert early.passed() is None, "no pod has answered yet"
        checks.answers.set()
        assert checks.ran.wait(10)
        found = early.passed()
    assert found
    assert (found.pod, found.checks.record, found.by_name) == ("10.0.0.7:8080", {"it answers": True}, True)
    assert checks.asked == ["10.0.0.7:8080/ready"]


@pytest.mark.parametrize("checks", [Early("it was silent"), Early(unreachable=True)])
def test_checks_that_fail_early_count_for_nothing(checks: Early) -> None:
    checks.answers.set()
    with begun(checks) as early:
        assert early
        assert checks.ran.wait(10)
        assert early.passed() is None


def test_who_has_seen_the_rollout_end_does_not_wait_for_a_pod_that_can_not_be_asked() -> None:
    checks = Early()
    with begun(checks) as early:
        assert checks.waits.wait(10)
        assert early
        assert early.passed() is None
    assert checks.cancelled.wait(10), "the command in the pod goes on"


@pytest.mark.parametrize(
    ("service", "room"),
    [
        (WEB, False),
        (WEB.model_copy(update={"checks": ()}), True),
        (WEB.model_copy(update={"health": None}), True),
        (WEB.model_copy(update={"health": Health(exec=("true",))}), True),
    ],
)
def test_nothing_runs_early_where_there_is_no_room_nothing_to_check_or_no_path(service: Service, room: bool) -> None:
    checks = Early(room=room)
    with begun(checks, service) as early:
        assert early is None
