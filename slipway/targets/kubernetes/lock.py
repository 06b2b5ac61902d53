"""One deploy at a time per namespace: a Lease that its holder renews, and that a killed one loses soon."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from slipway.errors import Problem
from slipway.steps import Cancel
from slipway.targets.kubernetes.client import Cluster
from slipway.targets.kubernetes.manifests import Object, labels

SECONDS = 20  # a Lease that was not renewed for so long is anybody's
RENEW = 5.0
NAME = "slipway"


class Lock:
    """The Lease of a namespace, held by one process: its threads hold it together, other processes wait.

    `first` is done by whoever takes it, before anything else is: nobody but a killed holder left what it finds.
    """

    def __init__(self, cluster: Cluster, project: str, namespace: str, who: str, first: Callable[[], None]) -> None:
        self._cluster, self._project, self._namespace, self._who = cluster, project, namespace, who
        self._first = first
        self._entry = threading.Lock()
        self._holders = 0
        self._ended = threading.Event()

    @contextmanager
    def held(self, say: Callable[[str], None], cancel: Cancel) -> Iterator[None]:
        """Hold it; `say` hears who else does. Raises Cancelled when the run is to end."""
        with self._entry:
            cancel.check()
            if not self._holders:
                self._take(say, cancel)
            self._holders += 1
        try:
            yield
        finally:
            with self._entry:
                self._holders -= 1
                if not self._holders:
                    self._leave()

    def _take(self, say: Callable[[str], None], cancel: Cancel) -> None:
        told = ""
        while not _taken(self._cluster, self._project, self._namespace, self._who):
            other = (self._cluster.get("coordination.k8s.io/v1", "Lease", NAME, self._namespace) or {}).get("spec", {})
            holder = other.get("holderIdentity", "another deploy")
            if holder != told:
                say(f"waits for {holder}, which deploys to this namespace")
                told = holder
            cancel.wait(0.5)
        self._ended = threading.Event()
        renewing = (self._cluster, self._namespace, self._who, self._ended)
        threading.Thread(target=_renew, args=renewing, daemon=True).start()
        try:
            self._first()
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        self._ended.set()
        with contextlib.suppress(Problem):
            self._cluster.delete(_lease(self._project, self._namespace, self._who))


def _lease(project: str, namespace: str, who: str) -> Object:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": who, "leaseDurationSeconds": SECONDS, "acquireTime": now, "renewTime": now}
    meta: dict[str, Any] = {"name": NAME, "namespace": namespace, "labels": labels(project)}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}


def _taken(cluster: Cluster, project: str, namespace: str, who: str) -> bool:
    """Take the Lease if nobody has it, or who has it is gone. The API server decides between two that try at once."""
    found = cluster.get("coordination.k8s.io/v1", "Lease", NAME, namespace)
    wanted = _lease(project, namespace, who)
    try:
        if found is None:
            cluster.create(wanted)
            return True
        if not expired(found, datetime.now(UTC)):
            return False
        wanted["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        cluster.replace(wanted)
    except Problem as problem:
        if "already exists" in problem.why or "has been modified" in problem.why:
            return False
        raise
    return True


def expired(lease: Object, now: datetime) -> bool:
    """Whether a Lease was not renewed in time."""
    spec = lease.get("spec", {})
    renewed = datetime.fromisoformat(spec.get("renewTime", "1970-01-01T00:00:00+00:00"))
    return (now - renewed).total_seconds() > int(spec.get("leaseDurationSeconds", SECONDS))


def _renew(cluster: Cluster, namespace: str, who: str, ended: threading.Event) -> None:
    while not ended.wait(RENEW):
        with contextlib.suppress(Problem):
            now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
            lease = cluster.get("coordination.k8s.io/v1", "Lease", NAME, namespace)
            if lease and lease["spec"].get("holderIdentity") == who:
                cluster.patch(lease, {"spec": {"renewTime": now}})
