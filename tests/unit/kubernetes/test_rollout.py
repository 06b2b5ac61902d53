"""A rollout as it is waited for, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.config.models import Service
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output, Progress
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.kubernetes import rollout
from slipway.kubernetes.client import Client
from slipway.kubernetes.diagnose import causes
from slipway.kubernetes.manifests import deployment as render
from slipway.kubernetes.pods import settled_since
from slipway.kubernetes.snapshot import Snapshot, last_lines
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster

Json = dict[str, Any]


def pod(name: str, restarts: int, *, ready: bool) -> Json:
    ended = {"terminated": {"exitCode": 255, "reason": "Unknown"}}
    container = {"name": "c", "restartCount": restarts, "ready": ready, "state": {"running": {}},
                 "lastState": ended if restarts else {}}  # fmt: skip
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"metadata": {"name": name}, "spec": spec, "status": {"containerStatuses": [container]}}


def deployment(available: int) -> Json:
    counts = {"observedGeneration": 1, "updatedReplicas": 3, "replicas": 3, "availableReplicas": available}
    meta = {"name": "web", "generation": 1, "resourceVersion": "1"}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": 3}, "status": counts}


def workload(cluster: Client) -> Workload:
    return Workload(cluster, "hh", "hh", "web")


def shown(monkeypatch: pytest.MonkeyPatch, *scenes: Snapshot) -> Iterator[Snapshot]:
    """Have a rollout read these one after the other; those that it has not read yet."""
    left = iter(scenes)
    monkeypatch.setattr(rollout, "read_snapshot", lambda _: next(left))
    monkeypatch.setattr(rollout, "read_full_snapshot", lambda _: next(left))
    return left


def test_restarts_from_before_the_wait_do_not_fail_pods_that_are_well(monkeypatch: pytest.MonkeyPatch) -> None:
    old = [pod("a", 2, ready=True), pod("b", 2, ready=True)]
    left = shown(monkeypatch, Snapshot(deployment(2), [*old, pod("c", 0, ready=False)]), Snapshot(deployment(3)))
    rollout.wait(workload(FakeCluster()), null_reporter())
    assert list(left) == []


def test_progress_counts_the_new_pods_that_are_ready_and_no_old_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    new = [pod("a", 0, ready=True), pod("b", 0, ready=False)]
    shown(monkeypatch, Snapshot(deployment(2), new), Snapshot(deployment(3)))
    rollout.wait(workload(FakeCluster()), Reporter("web/release", events.append, Cancel()))
    assert [(one.done, one.total, one.unit) for one in events if isinstance(one, Progress)] == [(1, 3, "pods")]


def test_restarts_of_a_pod_during_the_wait_fail_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [Snapshot(deployment(2), [pod("a", 3 + times, ready=False)]) for times in range(3)]
    shown(monkeypatch, *scenes, scenes[-1])
    with pytest.raises(Problem, match="it exited with code 255"):
        rollout.wait(workload(FakeCluster()), null_reporter())


def test_how_a_container_ended_before_the_one_that_is_ready_is_no_cause() -> None:
    assert causes(Snapshot(deployment(2), [pod("a", 2, ready=True)])) == []
    assert causes(Snapshot(deployment(2), [pod("a", 2, ready=False)])) != []


@pytest.mark.parametrize(
    ("start_within", "grace", "deadline", "progress"),
    [(None, 40, 180, 120), ("10s", 40, 180, 120), ("60s", 40, 180, 120), ("180s", 180, 420, 240)],
)
def test_pods_that_may_start_late_are_waited_for(
    start_within: str | None, grace: float, deadline: float, progress: int
) -> None:
    found = render.deployment("hh", "hh", Service(name="web", replicas=2, start_within=start_within), "IMAGE", {})
    assert (rollout.grace(found), rollout.deadline(found)) == (grace, deadline)
    assert found["spec"]["progressDeadlineSeconds"] == progress


class Lines(FakeCluster):
    """A cluster whose logs have so many lines, of each container."""

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002
        whose = "previous" if query.get("previous") == "true" else "current"
        yield from [f"{whose} {number}".encode() for number in range(100)][-int(query["tailLines"]) :]


def test_the_lines_of_the_previous_container_are_kept_with_those_of_the_running_one() -> None:
    crashed = pod("a", 2, ready=False)
    text = rollout.evidence(
        Snapshot(deployment(2), [crashed], logs={("a", "c"): last_lines(workload(Lines()), crashed, "c")})
    )
    assert text.count("| previous") == text.count("| current") == 40
    assert "previous 99" in text


class Unwatched(FakeCluster):
    """A cluster that lets nobody watch."""

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002
        raise Problem("watching is forbidden")


def test_a_watch_that_is_forbidden_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    report, waited = null_reporter(), list[float]()
    monkeypatch.setattr(report.cancel, "wait", waited.append)
    shown(monkeypatch, Snapshot(deployment(2)), Snapshot(deployment(3)))
    rollout.wait(workload(Unwatched()), report)
    assert [0.5 < seconds <= rollout.WINDOW for seconds in waited] == [True]


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ({}, rollout.UNOBSERVED),
        ({"observedGeneration": 2, "updatedReplicas": 1}, "1 of 2 new pods have been created"),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 3}, "1 old pods are pending termination"),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}, "1 of 2 new pods"),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}, None),
    ],
)
def test_a_rollout_waits_in_kubectls_order(status: Json, left: str | None) -> None:
    found = rollout.status({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status})
    assert found == left if left is None else left in str(found)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"ready": False}, False),
        ({"state": {"running": {"startedAt": "2026-11-23T11:59:59Z"}}}, False),  # told before its node was stopped
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, False),
    ],
)
def test_a_pod_runs_again_when_a_container_started_since_is_ready(change: Json, expected: bool) -> None:
    container = {"ready": True, "state": {"running": {"startedAt": "2026-11-23T12:00:01Z"}}, **change}
    pod = {"metadata": {}, "status": {"phase": "Running", "containerStatuses": [container]}}
    assert settled_since(pod, datetime(2026, 11, 23, 12, tzinfo=UTC)) is expected
    assert settled_since({**pod, "metadata": {"deletionTimestamp": "2026-11-23T12:00:02Z"}}, datetime.now(UTC))


def waits_for(secret: str) -> Json:
    waiting = {"reason": "CreateContainerConfigError", "message": f'secret "{secret}" not found'}
    found = pod("a", 0, ready=False)
    found["status"]["containerStatuses"][0].update(state={"waiting": waiting})
    return found


@pytest.mark.parametrize("exists", [True, False])
def test_a_secret_that_a_kubelet_does_not_find_fails_a_rollout_unless_it_exists(
    monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    cluster = FakeCluster()
    if exists:
        cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "hh"}})
    behind = Snapshot(deployment(2), [waits_for("key")])
    left = shown(monkeypatch, behind, *([Snapshot(deployment(3))] if exists else [behind]))
    if exists:
        rollout.wait(workload(cluster), null_reporter())
        assert list(left) == []
    else:
        with pytest.raises(Problem, match="can't be configured"):
            rollout.wait(workload(cluster), null_reporter())


def unscheduled(*, scaling: bool) -> Snapshot:
    """A rollout whose pod waits for a node, after the Deployment's controller has given up."""
    message = "0/1 nodes are available: 1 Insufficient cpu."
    waiting = {"metadata": {"name": "a"}, "spec": {"containers": []}, "status": {
        "conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}}  # fmt: skip
    found = deployment(2)
    found["spec"]["progressDeadlineSeconds"] = 120
    found["status"]["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    scale_up = {"reason": "TriggeredScaleUp", "message": "group 1->2", "involvedObject": {"name": "a"}}
    return Snapshot(found, [waiting], [scale_up] if scaling else [])


def starting() -> Snapshot:
    """The same once there is a node: its condition stays until there is progress."""
    found = unscheduled(scaling=False)
    return Snapshot(found.deployment, [pod("a", 0, ready=False)])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute passes between two looks."""
    times = iter(range(0, 100_000, 60))
    monkeypatch.setattr(rollout.time, "monotonic", lambda: float(next(times)))
    monkeypatch.setattr(rollout._Wait, "_watch", lambda *_: None)


def test_a_node_that_an_autoscaler_brings_is_waited_for_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, clock: None
) -> None:
    events: list[Event] = []
    scenes = [unscheduled(scaling=True)] * 8
    left = shown(monkeypatch, *scenes, starting(), Snapshot(deployment(3)))
    rollout.wait(workload(FakeCluster()), Reporter("web/release", events.append, Cancel()))
    assert list(left) == []
    told = [one.text for one in events if isinstance(one, Output) and one.text.startswith("waiting: ")]
    assert told == ["waiting: the cluster's autoscaler is adding a node: group 1->2"]


@pytest.mark.parametrize(("scaling", "looks"), [(False, 1), (True, 12)])
def test_a_node_that_nobody_brings_is_waited_for_no_longer(
    monkeypatch: pytest.MonkeyPatch, clock: None, scaling: bool, looks: int
) -> None:
    scenes = [unscheduled(scaling=scaling)] * 30
    left = shown(monkeypatch, *scenes)
    with pytest.raises(Problem, match=r"autoscaler is adding a node|no node has room"):
        rollout.wait(workload(FakeCluster()), null_reporter())
    assert abs(30 - len(list(left)) - 1 - looks) <= 1  # and one of all that is evidence


def test_pods_that_wait_for_the_room_of_earlier_ones_are_waited_for_as_long_as_more_get_ready(
    monkeypatch: pytest.MonkeyPatch, clock: None
) -> None:
    waiting = unscheduled(scaling=False).pods[0]
    ready = [pod(name, 0, ready=True) for name in "bcd"]
    scenes = [Snapshot(deployment(2), [waiting, *ready[:number]]) for number in (1, 2, 3)]
    left = shown(monkeypatch, *scenes, Snapshot(deployment(3)))
    rollout.wait(workload(FakeCluster()), null_reporter())
    assert list(left) == []
    left = shown(monkeypatch, *[scenes[1]] * 9)
    with pytest.raises(Problem, match="no node has room"):
        rollout.wait(workload(FakeCluster()), null_reporter())


def test_a_pod_that_was_evicted_once_fails_no_rollout_that_goes_on(
    monkeypatch: pytest.MonkeyPatch, clock: None
) -> None:
    evicted = {**pod("a", 0, ready=False), "status": {"phase": "Failed", "reason": "Evicted", "message": "low"}}
    both = Snapshot(deployment(2), [evicted, pod("b", 0, ready=False)])
    left = shown(monkeypatch, both, both, Snapshot(deployment(3)))
    rollout.wait(workload(FakeCluster()), null_reporter())
    assert list(left) == []
