"""The pod that checks run from, in a namespace with a quota."""

from __future__ import annotations

import threading
import time

import pytest

from slipway.deployers.kubernetes import check_pod
from slipway.deployers.kubernetes.check_pod import CheckPods, pod
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ApiRefused, Cancelled, Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.kubernetes import pod_wait, rollout
from slipway.kubernetes.objects import Object
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json

FULL = 'pods "slipway-probe-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'

WEB = Workload(FakeCluster(), "hh", "hh", "web")


class Full(FakeCluster):
    """A cluster whose quota has room after so many refusals."""

    def __init__(self, refusals: int, details: str = FULL) -> None:
        super().__init__()
        self.left, self.details = refusals, details

    def create(self, document: Object) -> Json:
        self.left -= 1
        if self.left >= 0:
            raise ApiRefused("POST was refused", status=403, details=self.details)
        return super().create(document)


def test_room_in_a_quota_is_waited_for_and_that_is_told_once(report: tuple[Reporter, list[Event]]) -> None:
    cluster = Full(5)
    check_pod._create(cluster, pod("hh", "hh", "i", "slipway-probe-1"), report[0])
    assert ("Pod", "slipway-probe-1") in cluster.objects
    told = [one.text for one in report[1] if isinstance(one, Output)]
    assert told == [f"waiting for room for the pod that runs the checks: {FULL}"]


def test_a_quota_without_room_is_told_apart_from_checks_that_fail(report: tuple[Reporter, list[Event]]) -> None:
    with pytest.raises(
        Problem, match="a quota of the namespace has no room for the pod that runs the checks"
    ) as raised:
        check_pod._create(Full(10_000), pod("hh", "hh", "i", "slipway-probe-1"), report[0])
    assert raised.value.details == FULL


def test_another_refusal_is_not_waited_for(report: tuple[Reporter, list[Event]]) -> None:
    cluster = Full(10_000, "pods is forbidden")
    with pytest.raises(ApiRefused):
        check_pod._create(cluster, pod("hh", "hh", "i", "slipway-probe-1"), report[0])
    assert cluster.left == 9_999


def test_it_has_all_that_a_quota_can_ask_for() -> None:
    resources = pod("hh", "hh", "i", "p")["spec"]["containers"][0]["resources"]
    assert {key: set(value) for key, value in resources.items()} == {
        key: {"cpu", "memory"} for key in ("requests", "limits")
    }


class Running(FakeCluster):
    """A cluster whose pods run at once; their names, in turn."""

    def __init__(self, quotas: int = 0) -> None:
        super().__init__()
        self.names: list[str] = []
        for number in range(quotas):
            self.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": f"{number}", **HH}})

    def create(self, document: Object) -> Json:
        if document["kind"] == "Pod":
            self.names.append(document["metadata"]["name"])
            document = {**document, "status": {"phase": "Running"}}
        return super().create(document)

    @property
    def pods(self) -> list[str]:
        """Those that there are now."""
        return [name for kind, name in self.objects if kind == "Pod"]


HH = {"namespace": "hh"}


def pods_of(cluster: FakeCluster) -> CheckPods:
    return CheckPods(cluster, "hh", "hh", FakeHost("h", Facts("Linux", "x")).run, lambda _: "i")


def test_one_pod_that_was_prepared_serves_all_services_of_a_run() -> None:
    cluster = Running()
    pods = pods_of(cluster)
    for _ in range(3):
        pods.prepare()
        with pods.runner(WEB, null_reporter()):
            assert cluster.pods == cluster.names
    assert len(cluster.names) == 1
    pods.close()
    assert cluster.pods == []


@pytest.mark.parametrize("prepared", [True, False])
def test_where_a_quota_counts_pods_each_service_has_its_own(prepared: bool) -> None:
    cluster = Running(quotas=1)
    pods = pods_of(cluster)
    for _ in range(2):
        if prepared:
            pods.prepare()
        assert cluster.pods == []
        with pods.runner(WEB, null_reporter()):
            assert cluster.pods == cluster.names[-1:]
    assert len(cluster.names) == 2


def test_a_pod_that_does_not_start_is_told_apart_from_checks_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Roomless(Running):
        def create(self, document: Object) -> Json:
            waiting = {"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}
            state = {"phase": "Pending", "conditions": [waiting]}
            return FakeCluster.create(self, {**document, **({"status": state} if document["kind"] == "Pod" else {})})

    monkeypatch.setattr(rollout, "GRACE", 0.1)
    monkeypatch.setattr(pod_wait, "LOOK", 0.0)
    cluster = Roomless(quotas=1)
    with pytest.raises(Problem) as raised, pods_of(cluster).runner(WEB, null_reporter()):
        pass
    said = "the pod that runs the checks: no node has room: a pod asks for 0.01 CPUs; Insufficient cpu"
    assert raised.value.summary == said
    assert raised.value.hint
    assert cluster.pods == []


@pytest.mark.parametrize("why", ["gone", "ended", "ending", "too old"])
def test_a_kept_pod_that_does_not_run_on_is_replaced(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    cluster = Running()
    pods = pods_of(cluster)
    pods.prepare()
    with pods.runner(WEB, null_reporter()):
        (name,) = cluster.pods
    kept = cluster.objects["Pod", name]
    if why == "gone":
        cluster.delete(kept)
    elif why == "ended":
        kept["status"]["phase"] = "Failed"
    elif why == "ending":
        kept["metadata"]["deletionTimestamp"] = "2026-11-29T12:00:00Z"
    else:
        now = time.monotonic() + check_pod.LIFETIME
        monkeypatch.setattr(check_pod.time, "monotonic", lambda: now)
    with pods.runner(WEB, null_reporter()):
        assert cluster.names[1:] == cluster.pods[-1:]
        assert len(cluster.pods) == (1 if why == "gone" else 2), "another service may still ask from the first"
    pods.prepare()
    with pods.runner(WEB, null_reporter()):
        assert cluster.pods[-1] == cluster.names[2]
    pods.close()
    assert cluster.pods == []


def test_to_prepare_does_not_wait_for_a_pod_that_another_waits_for() -> None:
    cluster, waiting, image = Running(), threading.Event(), threading.Event()

    def bring(_: Reporter) -> str:
        waiting.set()
        assert image.wait(10)
        return "i"

    pods = CheckPods(cluster, "hh", "hh", FakeHost("h", Facts("Linux", "x")).run, bring)
    pods.prepare()
    assert waiting.wait(10)
    running = threading.Thread(target=lambda: pods.runner(WEB, null_reporter()).__enter__())
    running.start()
    time.sleep(0.1)
    began = time.monotonic()
    pods.prepare()
    assert time.monotonic() - began < 5
    image.set()
    running.join(10)
    assert len(cluster.names) == 1


def test_a_pod_that_takes_long_is_told_of_and_ctrl_c_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_pod, "PATIENCE", 0.01)
    image, events, cancel = threading.Event(), list[Event](), Cancel()

    def bring(_: Reporter) -> str:
        assert image.wait(10)
        return "i"

    def emit(event: Event) -> None:
        events.append(event)
        cancel.request()

    pods = CheckPods(Running(), "hh", "hh", FakeHost("h", Facts("Linux", "x")).run, bring)
    pods.prepare()
    with pytest.raises(Cancelled), pods.runner(WEB, Reporter("web/release", emit, cancel)):
        pass
    assert [one.text for one in events if isinstance(one, Output)] == ["waiting for the pod that runs the checks"]
    image.set()
    pods.close()


def test_a_pod_that_can_not_be_prepared_is_told_to_who_needs_it() -> None:
    pods = pods_of(Full(10_000, "pods is forbidden"))
    pods.prepare()
    with pytest.raises(ApiRefused), pods.runner(WEB, null_reporter()):
        pass
    pods.close()


def test_pods_of_killed_runs_are_deleted_and_the_one_that_is_kept_is_not() -> None:
    cluster = Running()
    mine, killed = pods_of(cluster), pods_of(cluster)
    for pods in (killed, mine):
        pods.prepare()
        with pods.runner(WEB, null_reporter()):
            pass
    mine.delete_left_over()
    assert cluster.pods == cluster.names[1:]
