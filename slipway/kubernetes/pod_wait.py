"""A pod that no Deployment has, waited for: what keeps it is told as of a rollout."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from slipway.docker.exit_causes import Cause
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.kubernetes import rollout
from slipway.kubernetes.diagnose import MissingObject, causes
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pods import READY, init_statuses, pod_state, restarts
from slipway.kubernetes.snapshot import Snapshot, read_pod_snapshot
from slipway.kubernetes.workload import Workload

POLL = 0.2
LOOK = 1.0  # seconds between two looks at causes


def is_ready(pod: Object) -> bool:
    """Whether all of its containers are ready."""
    return pod_state(pod) == READY


def is_initializing(pod: Object) -> bool:
    """Whether its first init container runs."""
    return any("running" in one.get("state", {}) for one in init_statuses(pod)[:1])


def runs(pod: Object) -> bool:
    """Whether its containers have started."""
    return bool(pod.get("status", {}).get("phase") == "Running")


def wait_for_pod(
    workload: Workload, name: str, reached: Callable[[Object], bool], report: Reporter, subject: str = ""
) -> None:
    """Wait until a pod has got so far. Raises Problem of `subject` with the causes and all evidence."""
    _Wait(workload, name, reached, report, subject or workload.service).run()


@dataclass
class _Wait:
    workload: Workload
    name: str
    reached: Callable[[Object], bool]
    report: Reporter
    subject: str
    since: dict[str, float] = field(default_factory=dict)  # when a cause was first seen
    began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        shown, looked = "", time.monotonic()
        while not self.reached(pod := self._pod()):
            self.report.cancel.check()
            if (state := pod_state(pod)) != shown:
                self.report.note(f"{self.name} {state}")
                shown = state
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                if self._has_failed(read_pod_snapshot(self.workload, pod)):
                    full = read_pod_snapshot(self.workload, pod, full=True)
                    raise rollout.failure(self.subject, full, f"its pod did not start, and is {state}")
            self.report.cancel.wait(POLL)

    def _pod(self) -> Object:
        found = self.workload.cluster.get("v1", "Pod", self.name, self.workload.namespace)
        if found is None:
            raise Problem(f"pod {self.name} was deleted meanwhile")
        return found

    def _has_failed(self, snapshot: Snapshot) -> bool:
        """Whether waiting longer is in vain."""
        now, found = time.monotonic(), causes(snapshot)
        for one in found:
            if one.patience and one.summary not in self.since:
                self.report.note(f"waiting: {one.summary}")
        self.since = {one.summary: self.since.get(one.summary, now) for one in found}
        grace = rollout.grace(snapshot.deployment)
        return (
            any(one.final and not isinstance(one, MissingObject) for one in found)
            or any(now - self.since[one.summary] > max(grace, one.patience) for one in found)
            or any(restarts(pod) >= rollout.RESTARTS for pod in snapshot.pods)
            or (now - self.began > rollout.deadline(snapshot.deployment) and not any(map(_is_excused, found)))
        )


def _is_excused(cause: Cause) -> bool:
    return 0 < cause.patience < math.inf
