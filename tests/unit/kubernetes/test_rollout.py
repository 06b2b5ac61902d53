"""A rollout as it is waited for, and the lines of its pods, without a cluster."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from slipway.engine.steps import null_reporter
from slipway.errors import Problem
from slipway.kubernetes import logs, rollout
from slipway.kubernetes.client import Cluster
from slipway.kubernetes.diagnose import Scene, causes
from slipway.kubernetes.logs import moment
from tests.unit.kubernetes.fake_cluster import FakeCluster

Object = dict[str, Any]


def pod(name: str, restarts: int, *, ready: bool) -> Object:
    ended = {"terminated": {"exitCode": 255, "reason": "Unknown"}}
    container = {"name": "c", "restartCount": restarts, "ready": ready, "state": {"running": {}},
                 "lastState": ended if restarts else {}}  # fmt: skip
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": name}, "spec": spec, "status": {"containerStatuses": [container]}}


def deployment(available: int) -> Object:
    counts = {"observedGeneration": 1, "updatedReplicas": 3, "replicas": 3, "availableReplicas": available}
    meta = {"name": "web", "generation": 1, "resourceVersion": "1"}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": 3}, "status": counts}


def place(cluster: Cluster) -> rollout.Place:
    return rollout.Place(cluster, "hh", "hh", "web")


def shown(monkeypatch: pytest.MonkeyPatch, *scenes: Scene) -> None:
    left = iter(scenes)
    monkeypatch.setattr(rollout, "look", lambda *_, **__: next(left))


def test_restarts_from_before_the_wait_do_not_fail_pods_that_are_well(monkeypatch: pytest.MonkeyPatch) -> None:
    old = [pod("a", 2, ready=True), pod("b", 2, ready=True)]
    shown(monkeypatch, Scene(deployment(2), [*old, pod("c", 0, ready=False)]), Scene(deployment(3)))
    rollout.wait(place(FakeCluster()), null_reporter())


def test_restarts_of_a_pod_during_the_wait_fail_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [Scene(deployment(2), [pod("a", 3 + times, ready=False)]) for times in range(3)]
    shown(monkeypatch, *scenes, scenes[-1])
    with pytest.raises(Problem, match="exit code 255"):
        rollout.wait(place(FakeCluster()), null_reporter())


def test_how_a_container_ended_before_the_one_that_is_ready_is_no_cause() -> None:
    assert causes(Scene(deployment(2), [pod("a", 2, ready=True)])) == []
    assert causes(Scene(deployment(2), [pod("a", 2, ready=False)])) != []


class Lines(FakeCluster):
    """A cluster whose logs have so many lines, of each container."""

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002
        whose = "previous" if query.get("previous") == "true" else "current"
        yield from [f"{whose} {number}".encode() for number in range(100)][-int(query["tailLines"]) :]


def test_the_lines_of_the_container_before_are_kept_beside_those_of_the_one_that_runs() -> None:
    crashed = pod("a", 2, ready=False)
    text = rollout.evidence(Scene(deployment(2), [crashed], logs={"a": rollout.last(place(Lines()), crashed)}))
    assert text.count("| previous") == text.count("| current") == 40
    assert "previous 99" in text


class Unwatched(FakeCluster):
    """A cluster that lets nobody watch."""

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002
        raise Problem("watching is forbidden")


def test_a_watch_that_is_forbidden_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    report, waited = null_reporter(), list[float]()
    monkeypatch.setattr(report.cancel, "wait", waited.append)
    shown(monkeypatch, Scene(deployment(2)), Scene(deployment(3)))
    rollout.wait(place(Unwatched()), report)
    assert [0.5 < seconds <= rollout.WINDOW for seconds in waited] == [True]


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

    def get(self, *_: str | None) -> Object | None:
        return {} if self.answers else None


def test_followed_lines_come_once_over_breaks_and_as_long_as_the_pod_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "AGAIN", 0)
    one, two, three = (b"2020-01-01T00:00:00.%d00000000Z %d" % (n, n) for n in (1, 2, 3))
    cluster, heard = Broken([one, two], None, [one, two], None, [one, two, three]), queue.Queue[str]()
    logs._one(place(cluster), "p", 10, heard)
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
    assert moment(earlier) < moment(later)
