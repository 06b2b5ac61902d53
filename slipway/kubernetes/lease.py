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
from pathlib import Path
from typing import Any

from slipway.engine.steps import Cancel, Reporter
from slipway.errors import Cancelled, Problem
from slipway.kubernetes.client import Cluster, contested
from slipway.kubernetes.manifests.labels import LEASE, PROCESS, labels
from slipway.kubernetes.objects import Object

SECONDS = 20  # a Lease that was not renewed for so long is anybody's
RENEW = 5.0
LOOK = 0.5  # seconds between two looks at another's Lease
VERSION = "coordination.k8s.io/v1"


class Lock:
    """The Lease of a namespace, held by one process: its threads hold it together, other processes wait.

    `first` is done by whoever takes it, before anything else is: nobody but a killed holder left what it finds. Which
    Lease is ours its uid tells: it is made anew by everybody who takes it. `clock` tells seconds that never go back.
    """

    def __init__(
        self,
        cluster: Cluster,
        project: str,
        namespace: str,
        who: str,
        first: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._project, self._namespace, self._who = cluster, project, namespace, who
        self._first, self._clock = first, clock
        self._entry = threading.Lock()
        self._holders: list[Cancel] = []
        self._uid = ""
        self._ended = threading.Event()

    @contextmanager
    def held(self, report: Reporter) -> Iterator[Reporter]:
        """Hold it. What is done meanwhile uses the `Reporter` that this yields: losing the Lease cancels it.

        Raises Cancelled when the run is to end, and Problem when another took the Lease.
        """
        cancel = Cancel()
        with self._entry:
            report.cancel.check()
            if not self._holders:
                self._take(report)
            self._holders.append(cancel)
        forget = report.cancel.on_request(cancel.request)
        try:
            yield replace(report, cancel=cancel)
        except Cancelled:
            if lost := self._cluster.closed:
                raise lost from None
            raise
        finally:
            forget()
            with self._entry:
                self._holders.remove(cancel)
                if not self._holders:
                    self._leave()

    def _take(self, report: Reporter) -> None:
        told, seen, since = "", "", 0.0
        while True:
            report.cancel.check()
            found = self._cluster.get(VERSION, "Lease", LEASE, self._namespace)
            if found is None:
                if self._made():
                    break
                continue
            if tick(found) != seen:
                seen, since = tick(found), self._clock()
            if ended(found) or expired(found, self._clock() - since):
                self._removed(found)
                continue
            holder = found.get("spec", {}).get("holderIdentity", "another deploy")
            if holder != told:
                report.note(f"waits for {holder}, which deploys to this namespace")
                told = holder
            report.cancel.wait(LOOK)
        self._ended = threading.Event()
        threading.Thread(target=self._renew, args=(self._uid, self._ended), daemon=True).start()
        try:
            self._first()
        except BaseException:
            self._leave()
            raise

    def _made(self) -> bool:
        """Make the Lease. The API server decides between two that try at once."""
        try:
            self._uid = self._cluster.create(_lease(self._project, self._namespace, self._who))["metadata"]["uid"]
        except Problem as problem:
            if not contested(problem):
                raise
            return False
        return True

    def _removed(self, lease: Object) -> None:
        """Remove a dead holder's Lease, unless it was renewed or taken a moment ago: the next look tells."""
        try:
            self._cluster.delete(lease, only=True)
        except Problem as problem:
            if not contested(problem):
                raise

    def _leave(self) -> None:
        self._ended.set()
        if self._cluster.closed is None:
            mine = _lease(self._project, self._namespace, self._who)
            mine["metadata"]["uid"] = self._uid
            with contextlib.suppress(Problem):
                self._cluster.delete(mine, only=True)
        self._cluster.closed = None

    def _renew(self, uid: str, ended: threading.Event) -> None:
        while not ended.wait(RENEW):
            with contextlib.suppress(Problem):  # the API is away, or somebody changed it too: the next time tells
                found = self._cluster.get(VERSION, "Lease", LEASE, self._namespace)
                if found is None or found["metadata"]["uid"] != uid:
                    self._lost(found or {}, ended)
                    return
                version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                self._cluster.patch(found, {"metadata": version, "spec": {"renewTime": _now()}})

    def _lost(self, lease: Object, ended: threading.Event) -> None:
        """Let no deed change anything any more, and end all of them."""
        with self._entry:
            if ended.is_set():
                return
            who = lease.get("spec", {}).get("holderIdentity", "nobody")
            summary = f"the lock of namespace {self._namespace} was lost: {who} has it now"
            details = f"it was not renewed for {SECONDS} s, or somebody took it away"
            self._cluster.closed = Problem(
                summary, details=details, hint="run the same command again: it waits for the other"
            )
            holders = list(self._holders)
        for cancel in holders:
            cancel.request()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lease(project: str, namespace: str, who: str) -> Object:
    now = _now()
    spec = {"holderIdentity": who, "leaseDurationSeconds": SECONDS, "acquireTime": now, "renewTime": now}
    marks = {PROCESS: process(os.getpid())}
    meta: dict[str, Any] = {"name": LEASE, "namespace": namespace, "labels": labels(project), "annotations": marks}
    return {"apiVersion": VERSION, "kind": "Lease", "metadata": meta, "spec": spec}


def tick(lease: Object) -> str:
    """What changes whenever a holder takes or renews a Lease."""
    return f"{lease['metadata'].get('uid')} {lease.get('spec', {}).get('renewTime')}"


def expired(lease: Object, unchanged: float) -> bool:
    """Whether a Lease is anybody's, of which nothing changed for so many seconds of our own clock, as client-go does.

    Clocks of two machines differ: its renewTime is never compared with ours.
    """
    return unchanged > int(lease.get("spec", {}).get("leaseDurationSeconds", SECONDS))


def process(pid: int) -> str:
    """A process among all of this boot and its process namespace; nothing where Linux's /proc does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()} {pid}"
    except OSError:
        return ""


def ended(lease: Object) -> bool:
    """Whether a Lease is of a process of this machine, and it has ended."""
    mark = lease["metadata"].get("annotations", {}).get(PROCESS, "")
    pid = mark.rpartition(" ")[2]
    if not pid.isdigit() or mark != process(int(pid)):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # another user's, and it lives
    return False
