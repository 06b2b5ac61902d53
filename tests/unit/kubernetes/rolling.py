"""A Deployment in the middle of a rollout, and what a watch of its pods tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from slipway.errors import ApiRefused
from slipway.kubernetes.manifests.labels import labels
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


NEW = event(pod("new"))
