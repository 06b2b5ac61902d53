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
