"""The Lease of a namespace: who gets it, who waits, how soon a killed holder loses it, and what a lost one ends."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Cancelled, Problem
from slipway.kubernetes import lease as leases
from slipway.kubernetes.lease import NamespaceLease, expired, process_identity
from slipway.kubernetes.manifests.labels import LEASE, PROCESS
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def lock(cluster: FakeCluster, who: str = "me", first: Callable[[], None] = lambda: None) -> NamespaceLease:
    return NamespaceLease(cluster, "hh", "hh", who, first)


def lease(who: str, renewed: datetime, mark: str = "") -> Json:
    spec = {"holderIdentity": who, "leaseDurationSeconds": 20, "renewTime": renewed.isoformat()}
    meta = {"name": LEASE, "namespace": "hh", "annotations": {PROCESS: mark}}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}


def holder(cluster: FakeCluster) -> str:
    return str(cluster.objects["Lease", LEASE]["spec"]["holderIdentity"])


def test_the_threads_of_a_process_hold_its_lease_together(cluster: FakeCluster) -> None:
    together = threading.Barrier(2, timeout=10)
    both = lock(cluster, first=lambda: cluster.changes.append("swept"))

    def deploy() -> None:
        with both.held(null_reporter()):
            together.wait()

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(deploy) for _ in range(2)]:
            one.result()
    assert cluster.changes == ["create Lease slipway", "swept", "delete Lease slipway"]


def test_the_lease_is_not_acquired_any_more_once_the_run_is_to_end(cluster: FakeCluster) -> None:
    cancel = Cancel()
    cancel.request()
    with pytest.raises(Cancelled), lock(cluster).held(null_reporter(cancel)):
        pytest.fail("it was taken")
    assert cluster.changes == []


def test_another_process_waits_for_the_lease_and_reports_its_holder(cluster: FakeCluster) -> None:
    heard, cancel = list[str](), Cancel()

    def hear(event: Event) -> None:
        if isinstance(event, Output):
            heard.append(event.text)
            cancel.request()

    with (
        lock(cluster).held(null_reporter()),
        pytest.raises(Cancelled),
        lock(cluster, "you").held(Reporter("", hear, cancel)),
    ):
        pytest.fail("two held it")
    assert heard == ["waiting for me, which is deploying to this namespace"]


def test_a_lease_is_free_once_it_was_not_renewed_in_time() -> None:
    dead = lease("dead", datetime.now(UTC))
    assert not expired(dead, 20)
    assert expired(dead, 21)


@pytest.mark.parametrize("skew", [-3600, 0, 3600])
def test_a_killed_holder_loses_it_by_our_own_clock_whatever_its_clock_said(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, skew: int
) -> None:
    monkeypatch.setattr(leases, "POLL_INTERVAL", 0)
    cluster.create(lease("dead", datetime.now(UTC) + timedelta(seconds=skew)))
    seconds, cancel = [0.0], Cancel()

    def clock() -> float:
        seconds[0] += 1
        if seconds[0] > 60:
            cancel.request()
        return seconds[0]

    with NamespaceLease(cluster, "hh", "hh", "me", lambda: None, clock).held(null_reporter(cancel)):
        assert holder(cluster) == "me"
    assert 20 < seconds[0] <= 30


def test_a_holder_that_renews_it_keeps_it_though_its_clock_is_an_hour_behind(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "POLL_INTERVAL", 0)
    then = datetime.now(UTC) - timedelta(hours=1)
    cluster.create(lease("alive", then))
    seconds, cancel = [0], Cancel()

    def clock() -> float:
        seconds[0] += 1
        if seconds[0] % 5 == 0:
            renewed = (then + timedelta(seconds=seconds[0])).isoformat()
            cluster.patch(lease("alive", then), {"spec": {"renewTime": renewed}})
        if seconds[0] > 200:
            cancel.request()
        return float(seconds[0])

    with (
        pytest.raises(Cancelled),
        NamespaceLease(cluster, "hh", "hh", "me", lambda: None, clock).held(null_reporter(cancel)),
    ):
        pytest.fail("a live lock was stolen")
    assert holder(cluster) == "alive"


def test_a_holder_of_this_machine_that_was_killed_loses_it_at_once(cluster: FakeCluster) -> None:
    killed = subprocess.Popen(["sleep", "60"])
    mark = process_identity(killed.pid)
    cluster.create(lease("killed", datetime.now(UTC), mark))
    killed.kill()
    killed.wait()

    def clock() -> float:
        return 0.0  # no time passes

    with NamespaceLease(cluster, "hh", "hh", "me", lambda: None, clock).held(null_reporter()):
        assert holder(cluster) == "me"


def test_a_lost_lease_cancels_its_users_refuses_changes_and_leaves_the_new_one_alone(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEW_INTERVAL", 0.01)
    run, yours = Cancel(), lease("you", datetime.now(UTC))
    yours["metadata"]["uid"] = "yours"

    def deploy() -> None:
        with lock(cluster).held(null_reporter(run)) as report:
            cluster.objects["Lease", LEASE] = yours
            with pytest.raises(Cancelled):
                report.cancel.wait(20)
            with pytest.raises(Problem, match="was lost"):
                cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
            report.cancel.check()

    with pytest.raises(Problem, match="the lease of namespace hh was lost: its holder is now you"):
        deploy()
    assert not run.requested
    assert holder(cluster) == "you"
    assert cluster.lost_lease is None


def test_a_held_lease_is_renewed(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_INTERVAL", 0.01)
    renewed = threading.Event()
    patch = cluster.patch

    def told(document: Json, change: Json) -> Json:
        found = patch(document, change)
        renewed.set()
        return found

    monkeypatch.setattr(cluster, "patch", told)
    with lock(cluster).held(null_reporter()):
        before = cluster.objects["Lease", LEASE]["spec"]["acquireTime"]
        assert renewed.wait(10)
        assert cluster.objects["Lease", LEASE]["spec"]["renewTime"] > before
