"""Waits for a Deployment as `kubectl rollout status` does, shows its pods' states, and fails with causes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from slipway.docker.exit_causes import Cause
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, Unreachable
from slipway.kubernetes.diagnose import MissingObject, causes
from slipway.kubernetes.manifests.deployment import START
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pods import READY, all_statuses, oom_killed, pod_state, restarts
from slipway.kubernetes.rights import unless_refused
from slipway.kubernetes.snapshot import Snapshot, read_full_snapshot, read_snapshot
from slipway.kubernetes.workload import Workload

DEADLINE = 180.0  # seconds for a whole rollout
GRACE = 40.0  # seconds for a cause that may go away by itself
RESTARTS = 2  # of one new pod, after which a crash is not taken for an accident
OUTAGE = 90.0  # seconds that the API server may be unreachable
WINDOW = 1  # seconds of one watch, after which pods are looked at again
UNOBSERVED = "the Deployment's controller has not observed it yet"


def wait(workload: Workload, report: Reporter) -> None:
    """Wait until the workload's Deployment is rolled out. Raises Problem with the causes and all evidence."""
    _Wait(workload, report).run()


def status(deployment: Object) -> str | None:
    """What a rollout still waits for, or None when it is done.

    The order of conditions is that of `kubectl rollout status` (kubectl, pkg/polymorphichelpers/rollout_status.go).
    """
    spec, state = deployment["spec"], deployment.get("status", {})
    if deployment["metadata"]["generation"] > state.get("observedGeneration", 0):
        return UNOBSERVED
    want, total = spec.get("replicas", 1), state.get("replicas", 0)
    updated, available = state.get("updatedReplicas", 0), state.get("availableReplicas", 0)
    if updated < want:
        return f"{updated} of {want} new pods have been created"
    if total > updated:
        return f"{total - updated} old pods are pending termination"
    if available < updated:
        return f"{available} of {updated} new pods are available"
    return None


def grace(deployment: Object) -> float:
    """Seconds for a cause that may go away by itself: GRACE, or all that a slow pod may take to start."""
    return max(GRACE, START + late) if (late := _late(deployment)) else GRACE


def deadline(deployment: Object) -> float:
    """Seconds for a rollout: DEADLINE, and for each of its pods what it may take longer than usual to start."""
    return DEADLINE + _late(deployment) * int(deployment["spec"].get("replicas", 1))


def _late(deployment: Object) -> float:
    """How many seconds longer than usual a pod may take to start."""
    containers = deployment["spec"].get("template", {}).get("spec", {}).get("containers", [])
    probes = [one["startupProbe"] for one in containers if "startupProbe" in one]
    starts = [probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10) for probe in probes]
    return float(max((START, *starts)) - START)


def failure(subject: str, snapshot: Snapshot, unfinished: str) -> Problem:
    """The problem of what did not get ready: its causes, else what is `unfinished`, and behind them all evidence."""
    found = causes(snapshot)
    cause = found[0] if found else Cause(unfinished, "the evidence above has its events and last log lines")
    details = "\n".join((*(cause.summary for cause in found[1:]), evidence(snapshot)))
    return cause.problem(subject, details)


def evidence(snapshot: Snapshot) -> str:
    """The pods' states, last log lines and warnings, as text."""
    lines = []
    for pod in snapshot.pods:
        lines.append(f"pod {pod['metadata']['name']}: {pod.get('status', {}).get('phase')}")
        for one in all_statuses(pod):
            lines.append(f"  {one['name']}: state {one.get('state')}, last {one.get('lastState')}")
            log = snapshot.logs.get((pod["metadata"]["name"], one["name"]), "")
            lines += [f"  | {line}" for line in log.splitlines()]
    for event in snapshot.events:
        if event.get("type") == "Warning":
            lines.append(f"event {event.get('reason')}: {event.get('message')} (x{event.get('count') or 1})")
    return "\n".join(lines)


class _Wait:
    """One rollout that is waited for, and what has been seen of it so far."""

    def __init__(self, workload: Workload, report: Reporter) -> None:
        self._workload, self._report = workload, report
        self._began = time.monotonic()
        self._states: dict[str, str] = {}  # last shown, by pod
        self._since: dict[str, float] = {}  # when a cause was first seen, by `_identity`
        self._oom_killed: set[str] = set()
        self._looked = self._began
        self._excused = -math.inf  # when a cause that is waited for longer was last seen
        self._restarts: dict[str, int] = {}  # by pod, of those that ran when the wait began
        self._ready = 0  # new pods at once, so far

    def run(self) -> None:
        while True:
            self._report.cancel.check()
            snapshot = self._read()
            self._restarts = self._restarts or {pod["metadata"]["name"]: restarts(pod) for pod in snapshot.pods}
            self._oom_killed |= oom_killed(snapshot.pods)
            self._show(snapshot)
            pending = status(snapshot.deployment)
            if pending is None:
                return
            ready = sum(pod_state(pod) == READY for pod in snapshot.pods)
            if ready > self._ready:  # room is made for the next ones: what they lack counts from now on
                self._ready, self._since = ready, {}
            self._report.progress(ready, snapshot.deployment["spec"].get("replicas", 1), "pods")
            if self._has_failed(snapshot, observed=pending != UNOBSERVED):
                full = replace(read_full_snapshot(self._workload), oom_killed=self._oom_killed)
                raise failure(self._workload.service, full, f"the rollout did not finish: {pending}")
            self._watch(snapshot.deployment)

    def _read(self) -> Snapshot:
        """A snapshot; while the API server is unreachable for a moment, what runs goes on."""
        waited = 0.0
        while True:
            try:
                return read_snapshot(self._workload)
            except Unreachable as problem:
                if waited > OUTAGE:
                    raise
                if not waited:
                    self._report.note(f"{problem.summary}: waiting for it")
                self._report.cancel.wait(1)
                waited += 1

    def _has_failed(self, snapshot: Snapshot, *, observed: bool) -> bool:
        """Whether waiting longer is in vain. Until the controller has observed a Deployment, pods are the old ones."""
        now = time.monotonic()
        found = causes(snapshot) if observed else []
        self._tell(found)
        known = {_identity(cause) for cause in found}
        self._since = {key: self._since.get(key, now) for key in known}
        if any(0 < cause.patience < math.inf for cause in found):
            self._excused = now
            self._began += now - self._looked  # it does not count as the rollout's own time
        self._looked = now
        return (
            any(cause.final and not self._exists(cause) for cause in found)
            or any(now - self._since[_identity(one)] > max(grace(snapshot.deployment), one.patience) for one in found)
            or (any(not cause.patience for cause in found) and self._crashes(snapshot.pods))
            or now - self._began > deadline(snapshot.deployment)
            or (observed and _deadline_exceeded(snapshot.deployment) and now - self._excused > _progress(snapshot))
        )

    def _tell(self, found: Sequence[Cause]) -> None:
        """Say what is waited for longer than usual, once."""
        for cause in found:
            if cause.patience and _identity(cause) not in self._since:
                self._report.note(f"waiting: {cause.summary}")

    def _crashes(self, pods: Sequence[Object]) -> bool:
        return any(restarts(pod) - self._restarts.get(pod["metadata"]["name"], 0) >= RESTARTS for pod in pods)

    def _exists(self, cause: Cause) -> bool:
        """Whether what a kubelet reports as missing exists: after an outage the kubelet's cache may be behind."""
        if not isinstance(cause, MissingObject):
            return False
        workload = self._workload
        found = unless_refused(partial(workload.cluster.get, "v1", cause.kind, cause.name, workload.namespace), None)
        return found is not None

    def _show(self, snapshot: Snapshot) -> None:
        for pod in snapshot.pods:
            name, state = pod["metadata"]["name"], pod_state(pod)
            if self._states.get(name) != state:
                self._states[name] = state
                self._report.note(f"{name} {state}")

    def _watch(self, deployment: Object) -> None:
        """Wait for the Deployment's next change, or for `WINDOW`; the next snapshot has what was missed."""
        path = f"/apis/apps/v1/namespaces/{self._workload.namespace}/deployments"
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={self._workload.service}",
            "resourceVersion": deployment["metadata"]["resourceVersion"],
            "timeoutSeconds": str(WINDOW),
        }
        began = time.monotonic()
        with suppress(Problem):  # the API is unreachable: the next snapshot reports it, and waits
            for _ in self._workload.cluster.stream(path, query):
                return
        left = WINDOW - (time.monotonic() - began)  # watching may be forbidden, or end at once
        self._report.cancel.wait(max(0.0, left))


def _identity(cause: Cause) -> str:
    """What two sightings of one cause share: its first words, since counts and log lines come later in it."""
    return " ".join(cause.summary.split()[:3])


def _progress(snapshot: Snapshot) -> float:
    """Seconds without progress after which the Deployment's controller gives up; its own default where none is set."""
    return float(snapshot.deployment["spec"].get("progressDeadlineSeconds", 600))


def _deadline_exceeded(deployment: Object) -> bool:
    conditions = deployment.get("status", {}).get("conditions", [])
    return any(c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded" for c in conditions)
