"""One deploy at a time per namespace: a Lease that its holder renews, and that a killed one loses soon."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.errors import ApiRefused, Cancelled, Problem
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.labels import LEASE, PROCESS, labels
from slipway.kubernetes.objects import Object

DURATION = 20  # seconds without renewal after which a Lease is free
RENEW_INTERVAL = 5.0
POLL_INTERVAL = 0.5  # seconds between two looks at another's Lease
VERSION = "coordination.k8s.io/v1"


class NamespaceLease:
    """The Lease of a namespace, held by one process: its threads hold it together, other processes wait.

    `on_acquired` runs before anything else does: what it finds was left by a killed holder. Every holder creates a
    new Lease, so that its uid tells whose it is. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        cluster: Client,
        project: str,
        namespace: str,
        holder: str,
        on_acquired: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._project, self._namespace, self._holder = cluster, project, namespace, holder
        self._on_acquired, self._clock = on_acquired, clock
        self._entry = threading.Lock()
        self._users: list[Cancel] = []
        self._uid = ""
        self._released = threading.Event()

    @contextmanager
    def held(self, report: Reporter) -> Iterator[Reporter]:
        """Hold it, and use the `Reporter` that this yields meanwhile: losing the Lease cancels it.

        Raises Cancelled when the run is cancelled, and Problem when another process has taken the Lease.
        """
        cancel = Cancel()
        with self._entry:
            report.cancel.check()
            if not self._users:
                self._acquire(report)
            self._users.append(cancel)
        forget = report.cancel.on_request(cancel.request)
        try:
            yield replace(report, cancel=cancel)
        except Cancelled:
            if lost := self._cluster.lost_lease:
                raise lost from None
            raise
        finally:
            forget()
            with self._entry:
                self._users.remove(cancel)
                if not self._users:
                    self._release()

    def _acquire(self, report: Reporter) -> None:
        self._wait_and_create(report)
        self._released = threading.Event()
        threading.Thread(target=self._renew, args=(self._uid, self._released), daemon=True).start()
        try:
            self._on_acquired()
        except BaseException:
            self._release()
            raise

    def _wait_and_create(self, report: Reporter) -> None:
        reported, seen, since = "", "", 0.0
        while True:
            report.cancel.check()
            found = self._cluster.get(VERSION, "Lease", LEASE, self._namespace)
            if found is None:
                if self._create():
                    return
                continue
            if renewal(found) != seen:
                seen, since = renewal(found), self._clock()
            if holder_has_exited(found) or expired(found, self._clock() - since):
                self._delete_stale(found)
                continue
            holder = found.get("spec", {}).get("holderIdentity", "another deploy")
            if holder != reported:
                report.waiting_for(f"{holder}, which is deploying to this namespace")
                reported = holder
            report.cancel.wait(POLL_INTERVAL)

    def _create(self) -> bool:
        """Create the Lease, unless another process was faster: the API server decides."""
        try:
            self._uid = self._cluster.create(self._lease())["metadata"]["uid"]
        except ApiRefused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    def _delete_stale(self, lease: Object) -> None:
        """Delete the Lease of a dead holder, unless it was renewed or taken meanwhile: the next look shows that."""
        try:
            self._cluster.delete_if_unchanged(lease)
        except ApiRefused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise

    def _release(self) -> None:
        self._released.set()
        if self._cluster.lost_lease is None:
            lease = self._lease()
            with contextlib.suppress(Problem):
                self._cluster.delete_if_unchanged({**lease, "metadata": {**lease["metadata"], "uid": self._uid}})
        self._cluster.lost_lease = None

    def _renew(self, uid: str, released: threading.Event) -> None:
        while not released.wait(RENEW_INTERVAL):
            with contextlib.suppress(Problem):  # the API is unreachable, or the Lease was changed too: try again later
                found = self._cluster.get(VERSION, "Lease", LEASE, self._namespace)
                if found is None or found["metadata"]["uid"] != uid:
                    self._lose(found or {}, released)
                    return
                version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                self._cluster.patch(found, {"metadata": version, "spec": {"renewTime": _now()}})

    def _lose(self, lease: Object, released: threading.Event) -> None:
        """Refuse every further change to the cluster, and cancel all that use the Lease."""
        with self._entry:
            if released.is_set():
                return
            holder = lease.get("spec", {}).get("holderIdentity", "nobody")
            self._cluster.lost_lease = Problem(
                f"the lease of namespace {self._namespace} was lost: its holder is now {holder}",
                details=f"it was not renewed for {DURATION} s, or somebody deleted it",
                hint="run the same command again: it waits for the other deploy",
            )
            users = list(self._users)
        for cancel in users:
            cancel.request()

    def _lease(self) -> Object:
        now = _now()
        meta = {
            "name": LEASE,
            "namespace": self._namespace,
            "labels": labels(self._project),
            "annotations": {PROCESS: process_identity(os.getpid())},
        }
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION,
            "acquireTime": now,
            "renewTime": now,
        }
        return {"apiVersion": VERSION, "kind": "Lease", "metadata": meta, "spec": spec}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def renewal(lease: Object) -> str:
    """What changes whenever a Lease is acquired or renewed."""
    return f"{lease['metadata'].get('uid')} {lease.get('spec', {}).get('renewTime')}"


def expired(lease: Object, unchanged: float) -> bool:
    """Whether a Lease that has not changed for so many seconds of our own clock is free, as client-go decides it.

    Clocks of two machines differ: its renewTime is never compared with ours.
    """
    return unchanged > int(lease.get("spec", {}).get("leaseDurationSeconds", DURATION))


def process_identity(pid: int) -> str:
    """A process among all of this boot and PID namespace; "" where /proc is not Linux's."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()} {pid}"
    except OSError:
        return ""


def holder_has_exited(lease: Object) -> bool:
    """Whether the holder was a process of this machine that has exited."""
    identity = lease["metadata"].get("annotations", {}).get(PROCESS, "")
    pid = identity.rpartition(" ")[2]
    if not pid.isdigit() or identity != process_identity(int(pid)):
        return False
    import psutil

    return not psutil.pid_exists(int(pid))
