"""Which pod of a rollout is the first new one that runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest

from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ApiRefused, Cancelled
from slipway.kubernetes.first_pod import first_running_pod
from slipway.kubernetes.manifests.labels import labels
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json

REVISION = "deployment.kubernetes.io/revision"


class Rolling(FakeCluster):
    """A Deployment `web` of revision 2, whose ReplicaSets `old` and `new` have a pod each, and what watches tell."""

    def __init__(self, *watches: list[Json] | ApiRefused) -> None:
        super().__init__()
        self.watches, self.queries = list(watches), list[Mapping[str, str]]()
        container = {"name": "web", "image": "i"}
        self._put("Deployment", "web", "2", spec={"template": {"spec": {"containers": [container]}}})
        for revision, name in (("1", "old"), ("2", "new")):
            self._put("ReplicaSet", name, revision)
            self.create(pod(name))

    def _put(self, kind: str, name: str, revision: str, **more: Json) -> None:
        meta = {"name": name, "namespace": "hh", "labels": labels("hh", "web"), "annotations": {REVISION: revision}}
        self.create({"apiVersion": "apps/v1", "kind": kind, "metadata": {**meta, "uid": f"uid-of-{name}"}, **more})

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        assert path == "/api/v1/namespaces/hh/pods"
        self.queries.append(query)
        watch = self.watches.pop(0) if self.watches else ApiRefused("there is no other watch", status=500)
        if isinstance(watch, ApiRefused):
            raise watch
        return (json.dumps(event).encode() for event in watch)


def pod(name: str, phase: str = "Running", ip: str = "10.0.0.7", *, ending: bool = False) -> Json:
    owner = {"kind": "ReplicaSet", "uid": f"uid-of-{name}"}
    meta = {"name": f"{name}-1", "namespace": "hh", "labels": labels("hh", "web"), "ownerReferences": [owner]}
    if ending:
        meta["deletionTimestamp"] = "2026-11-30T12:00:00Z"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"phase": phase, "podIP": ip}}


def event(one: Json, kind: str = "MODIFIED") -> Json:
    return {"type": kind, "object": one}


def found(cluster: Rolling, report: Reporter | None = None) -> str:
    return str(first_running_pod(Workload(cluster, "hh", "hh", "web"), report or null_reporter())["metadata"]["name"])


NEW = event(pod("new"))


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
