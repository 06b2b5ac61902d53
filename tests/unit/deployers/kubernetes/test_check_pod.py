"""The pod that checks run from, in a namespace with a quota."""

from __future__ import annotations

import pytest

from slipway.deployers.kubernetes import check_pod
from slipway.deployers.kubernetes.check_pod import pod
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import ApiRefused, Problem
from slipway.kubernetes.objects import Object
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json

FULL = 'pods "slipway-probe-1" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'


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


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> tuple[Reporter, list[Event]]:
    heard: list[Event] = []
    cancel = Cancel()
    monkeypatch.setattr(cancel, "wait", lambda _: None)
    return Reporter("web", heard.append, cancel), heard


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


class Scaling(FakeCluster):
    """A cluster in which a pod has no node for so many looks, and whose autoscaler adds one, or not."""

    def __init__(self, looks: int, reason: str) -> None:
        super().__init__()
        self.looks = looks
        about = {"reason": reason, "message": "group 1->2", "involvedObject": {"name": "p"}}
        self.create({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "hh"}, **about})

    def get(self, *_: str | None) -> Json | None:
        self.looks -= 1
        waiting = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]}
        status = {"phase": "Running"} if self.looks < 0 else {"phase": "Pending", **waiting}
        return {**pod("hh", "hh", "i", "p"), "status": status}


@pytest.mark.parametrize(("reason", "starts"), [("TriggeredScaleUp", True), ("NotTriggerScaleUp", False)])
def test_a_node_that_an_autoscaler_adds_for_it_is_waited_for(
    report: tuple[Reporter, list[Event]], reason: str, starts: bool
) -> None:
    cluster = Scaling(int(2 * check_pod.START / check_pod.POLL), reason)
    if starts:
        check_pod._wait_until_running(cluster, "hh", "p", report[0])
    else:
        with pytest.raises(Problem, match="the pod that runs the checks did not start") as raised:
            check_pod._wait_until_running(cluster, "hh", "p", report[0])
        assert "no node has room: a pod asks for 0.01 CPUs; Insufficient cpu" in raised.value.details
        assert raised.value.hint
    told = [one.text for one in report[1] if isinstance(one, Output)]
    assert told == (["waiting: the cluster's autoscaler is adding a node: group 1->2"] if starts else [])
