"""Which pod of a rollout is the first new one that runs."""

from __future__ import annotations

import pytest

from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ApiRefused, Cancelled
from slipway.kubernetes.first_pod import first_running_pod
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import Json
from tests.unit.kubernetes.rolling import NEW, REVISION, Rolling, event, pod


def found(cluster: Rolling, report: Reporter | None = None) -> str:
    return str(first_running_pod(Workload(cluster, "hh", "hh", "web"), report or null_reporter())["metadata"]["name"])


@pytest.mark.parametrize(
    "before",
    [
        event(pod("old"), "ADDED"),
        event(pod("new", "Pending", "")),
        event(pod("new", "Running", "")),
        event(pod("new", ending=True)),
        event(pod("new"), "DELETED"),
        {"type": "ERROR", "object": {"kind": "Status", "code": 410}},
    ],
)
def test_it_is_the_first_that_runs_and_has_an_address(before: Json) -> None:
    cluster = Rolling([before], [NEW])
    assert found(cluster) == "new-1"
    assert cluster.watches == [], "what came before was taken for it"
    assert {query["labelSelector"] for query in cluster.queries} == {Workload(cluster, "hh", "hh", "web").selector}


def test_until_the_deployment_has_been_observed_every_pod_is_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Rolling([NEW])
    seen = cluster._seen
    unobserved = {"generation": 2, "annotations": {REVISION: "2"}}
    monkeypatch.setattr(cluster, "_seen", lambda live: {**seen(live), "metadata": {**live["metadata"], **unobserved}})
    with pytest.raises(ApiRefused, match="there is no other watch"):
        found(cluster)


def test_it_ends_when_it_is_not_wanted_any_more() -> None:
    report = null_reporter()
    report.cancel.request()
    with pytest.raises(Cancelled):
        found(Rolling([NEW]), report)


def test_where_pods_can_not_be_watched_that_is_told() -> None:
    with pytest.raises(ApiRefused, match="forbidden"):
        found(Rolling(ApiRefused("forbidden", status=403)))
