"""The log lines of a service's pods, and the warnings of its namespace."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from slipway.errors import Problem
from slipway.kubernetes import logs, rollout
from slipway.kubernetes.client import Client
from slipway.kubernetes.logs import timestamp, warnings
from slipway.kubernetes.manifests.labels import labels
from slipway.kubernetes.snapshot import read_full_snapshot
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster
from tests.unit.kubernetes.rendered import Json


def workload(cluster: Client) -> Workload:
    return Workload(cluster, "hh", "hh", "web")


class Broken(FakeCluster):
    """A cluster that sends these lines in turn, breaks after each, and is away in between; then the pod is gone."""

    def __init__(self, *answers: list[bytes] | None) -> None:
        super().__init__()
        self.answers, self.asked = list(answers), list[str]()

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002
        self.asked.append(query.get("sinceTime", ""))
        answer = self.answers.pop(0)
        if answer is None:
            raise Problem("the API does not answer")
        yield from answer

    def get(self, *_: str | None) -> Json | None:
        return {} if self.answers else None


def test_followed_lines_come_once_over_breaks_and_as_long_as_the_pod_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "POLL", 0)
    one, two, three = (b"2020-01-01T00:00:00.%d00000000Z %d" % (n, n) for n in (1, 2, 3))
    cluster, heard = Broken([one, two], None, [one, two], None, [one, two, three]), queue.Queue[str]()
    logs._follow(workload(cluster), "p", 10, heard)
    assert list(heard.queue) == ["p 1", "p 2", "p 3"]
    assert cluster.asked[-1] == "2020-01-01T00:00:00.200000000Z"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.1Z"),
        ("2020-01-01T00:00:00.1Z", "2020-01-01T00:00:00.12Z"),
        ("2020-01-01T00:00:00.9+02:00", "2020-01-01T00:00:01.1+02:00"),
        ("", "2020-01-01T00:00:00Z"),
    ],
)
def test_times_of_lines_are_in_order_however_many_digits_they_have(earlier: str, later: str) -> None:
    assert timestamp(earlier) < timestamp(later)


def test_warnings_are_of_what_is_still_wrong() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def event(pod: str, reason: str, minute: int, kind: str = "Warning") -> Json:
        when = f"2026-11-23T11:{minute:02}:00Z"
        return {"type": kind, "reason": reason, "message": "m", "lastTimestamp": when, "involvedObject": {"name": pod},
                "metadata": {}}  # fmt: skip

    events = [
        event("well", "Unhealthy", 58),
        event("ill", "Unhealthy", 57),
        event("well", "FailedScheduling", 56),
        event("ill", "Unhealthy", 40),  # long ago
        event("ill", "Pulled", 59, "Normal"),
    ]
    assert warnings(events, {"ill"}, now) == ["well: FailedScheduling: m (x1)", "ill: Unhealthy: m (x1)"]


class Injected(FakeCluster):
    """A cluster whose pods have an injected sidecar: its kubelets want to know of which container a log is."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        own = {"name": "web", "restartCount": 1, "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        proxy = {"name": "proxy", "ready": True, "state": {"running": {}}}
        meta = {"namespace": "hh", "labels": labels("hh", "web"), "annotations": {}}
        self.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {**meta, "name": "r", "uid": "u"}})
        spec = {"containers": [{"name": "web", "image": "i"}, {"name": "proxy", "image": "j"}]}
        template = {"spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "i"}]}}}}
        self.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**meta, "name": "web"}, **template})
        pod = {"metadata": {**meta, "name": "p", "ownerReferences": [{"uid": "u"}]}, "spec": spec}
        self.create({"apiVersion": "v1", "kind": "Pod", **pod, "status": {"containerStatuses": [own, proxy]}})

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        if path.endswith("/log") and "container" not in query:
            raise Problem("HTTP 400", details="a container name must be specified for pod p")
        self.asked.append(query.get("container", ""))
        yield f"line of {query.get('container')}".encode()


def test_logs_and_evidence_name_the_container_where_another_was_injected() -> None:
    cluster = Injected()
    assert list(logs.tails(workload(cluster), 10)) == ["p line of web"]
    found = read_full_snapshot(workload(cluster))
    assert set(cluster.asked) == {"web"}
    assert "  | line of web" in rollout.evidence(found)
