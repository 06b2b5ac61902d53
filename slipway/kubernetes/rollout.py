"""Waits for a Deployment as `kubectl rollout status` does, shows pods as they come, and fails for causes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from slipway.config.quantity import parse_quantity
from slipway.engine.steps import Reporter, Threads
from slipway.errors import Problem, Unreachable
from slipway.kubernetes.client import Cluster
from slipway.kubernetes.diagnose import Cause, Scene, causes, starved
from slipway.kubernetes.manifests.labels import selector
from slipway.kubernetes.objects import Object

DEADLINE = 180.0  # seconds for a whole rollout
BUDGET = 40.0  # seconds that a cause gets that may heal
RESTARTS = 2  # of one new pod, after which a crash is no accident
AWAY = 90.0  # seconds that the API server may be away
UNSEEN = "the controller has not seen it yet"
LINES = 40  # of a container's log, and as many of the one before it
WINDOW = 1  # seconds of one watch, after which pods are looked at again


@dataclass(frozen=True)
class Place:
    """A service's place in a cluster."""

    cluster: Cluster
    project: str
    namespace: str
    service: str


def status(deployment: Object) -> str | None:
    """What a rollout still waits for, or None when it is done.

    The order of conditions is that of `kubectl rollout status` (kubectl, pkg/polymorphichelpers/rollout_status.go).
    """
    spec, state = deployment["spec"], deployment.get("status", {})
    if deployment["metadata"]["generation"] > state.get("observedGeneration", 0):
        return UNSEEN
    want, total = spec.get("replicas", 1), state.get("replicas", 0)
    updated, available = state.get("updatedReplicas", 0), state.get("availableReplicas", 0)
    if updated < want:
        return f"{updated} of {want} new pods are made"
    if total > updated:
        return f"{total - updated} old pods are ending"
    if available < updated:
        return f"{available} of {updated} new pods are available"
    return None


def wait(place: Place, report: Reporter) -> None:
    """Wait until the service's Deployment is rolled out. Raises Problem with the causes and all evidence."""
    began = time.monotonic()
    seen: dict[str, str] = {}
    suspected: dict[str, float] = {}
    oom: set[str] = set()
    before: dict[str, int] = {}  # restarts, by pod, of those that ran when the wait began
    while True:
        report.cancel.check()
        scene = _patiently(place, report)
        before = before or {pod["metadata"]["name"]: _restarts(pod) for pod in scene.pods}
        oom |= starved(scene.pods)
        left = status(scene.deployment)
        _show(scene, seen, report)
        if left is None:
            return
        want = scene.deployment["spec"].get("replicas", 1)
        report.progress(scene.deployment.get("status", {}).get("availableReplicas", 0), want, "pods")
        now = time.monotonic()
        seen_by_controller = left != UNSEEN  # before that its newest pods are those of the template before
        found = causes(scene) if seen_by_controller else []
        for cause in found:
            suspected.setdefault(kind(cause), now)
        suspected = {k: t for k, t in suspected.items() if k in {kind(cause) for cause in found}}
        over = [c for c in found if (c.final and not _there(place, c)) or now - suspected[kind(c)] > BUDGET]
        crashing = any(_restarts(pod) - before.get(pod["metadata"]["name"], 0) >= RESTARTS for pod in scene.pods)
        if over or (crashing and found) or now - began > DEADLINE or (seen_by_controller and _stuck(scene.deployment)):
            raise failed(place, replace(look(place, whole=True), starved=oom), left)
        _watch(place, scene.deployment, report)


def _patiently(place: Place, report: Reporter) -> Scene:
    """Look, over a moment in which the API server is away: what runs goes on meanwhile."""
    waited = 0.0
    while True:
        try:
            return look(place)
        except Problem as problem:
            if not isinstance(problem, Unreachable) or waited > AWAY:
                raise
            if not waited:
                report.note(f"{problem.summary}: waiting for it")
            report.cancel.wait(1)
            waited += 1


def _there(place: Place, cause: Cause) -> bool:
    """Whether what a kubelet misses is there after all: after an outage its own cache may be behind."""
    found = re.search(r'(configmap|secret) "([^"]+)" not found', cause.summary)
    if found is None:
        return False
    kind_of = {"configmap": "ConfigMap", "secret": "Secret"}[found[1]]
    return place.cluster.get("v1", kind_of, found[2], place.namespace) is not None


def kind(cause: Cause) -> str:
    """What makes two sightings of a cause the same one: its first words, since counts in it grow."""
    return " ".join(cause.summary.split()[:3])


def failed(place: Place, scene: Scene, left: str) -> Problem:
    """The problem of a rollout: its causes, and behind them all that was seen."""
    found = causes(scene)
    summary = f"{place.service}: {found[0].summary}" if found else f"{place.service}: the rollout did not end: {left}"
    hint = found[0].hint if found else "the evidence below names events and last lines"
    return Problem(summary, details="\n".join((*(c.summary for c in found[1:]), evidence(scene))), hint=hint)


def evidence(scene: Scene) -> str:
    """Events, container states and last lines, as text."""
    lines = []
    for pod in scene.pods:
        lines.append(f"pod {pod['metadata']['name']}: {pod.get('status', {}).get('phase')}")
        containers = pod.get("status", {}).get("containerStatuses", [])
        lines += [f"  state {one.get('state')}, last {one.get('lastState')}" for one in containers]
        text = scene.logs.get(pod["metadata"]["name"], "") if scene.logs else ""
        lines += [f"  | {line}" for line in text.splitlines()]
    for event in scene.events:
        if event.get("type") == "Warning":
            lines.append(f"event {event.get('reason')}: {event.get('message')} (x{event.get('count') or 1})")
    return "\n".join(lines)


def look(place: Place, *, whole: bool = False) -> Scene:
    """The Deployment and its newest pods; `whole` also asks for events, last lines and the nodes."""
    cluster, namespace = place.cluster, place.namespace
    labels = selector(place.project, place.service)
    pool = Threads(6)
    deployment = pool.submit(cluster.get, "apps/v1", "Deployment", place.service, namespace)
    sets = pool.submit(cluster.list, "apps/v1", "ReplicaSet", namespace, labels)
    pods = pool.submit(cluster.list, "v1", "Pod", namespace, labels)
    events = pool.submit(cluster.list, "v1", "Event", namespace)
    nodes = pool.submit(cluster.list, "v1", "Node", None) if whole else None
    everywhere = pool.submit(cluster.list, "v1", "Pod", None) if whole else None
    found = deployment.result()
    if found is None:
        raise Problem(f"{place.service}: its Deployment was deleted meanwhile", hint="./invoke deploy")
    new = newest(found, sets.result(), pods.result())
    names = {pod["metadata"]["name"] for pod in new}
    about = [e for e in events.result() if e.get("involvedObject", {}).get("name") in names]
    needed = [pod for pod in new if whole or (_restarts(pod) and pod_state(pod) != "Ready")]
    reading = {pod["metadata"]["name"]: pool.submit(last, place, pod) for pod in needed}
    logs = {name: lines.result() for name, lines in reading.items()}
    all_nodes = nodes.result() if nodes else ()
    used = requested(everywhere.result()) if everywhere else {}
    return Scene(
        found,
        new,
        about,
        logs,
        all_nodes,
        {n["metadata"]["name"]: used.get(n["metadata"]["name"], (0, 0)) for n in all_nodes},
    )


def newest(deployment: Object, sets: Iterable[Object], pods: Iterable[Object]) -> list[Object]:
    """The pods of the Deployment's current template."""
    key = "deployment.kubernetes.io/revision"
    revision = deployment["metadata"].get("annotations", {}).get(key)
    current = {s["metadata"]["uid"] for s in sets if s["metadata"].get("annotations", {}).get(key) == revision}
    return [p for p in pods if any(o["uid"] in current for o in p["metadata"].get("ownerReferences", []))]


def requested(pods: Iterable[Object]) -> dict[str, tuple[float, float]]:
    """What pods ask of each node: CPUs and bytes."""
    found: dict[str, tuple[float, float]] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if node and pod.get("status", {}).get("phase") in {"Pending", "Running"}:
            asked = [c.get("resources", {}).get("requests", {}) for c in pod["spec"]["containers"]]
            cpu, memory = (sum(parse_quantity(a.get(k, 0)) or 0.0 for a in asked) for k in ("cpu", "memory"))
            before = found.get(node, (0.0, 0.0))
            found[node] = (before[0] + cpu, before[1] + memory)
    return found


def last(place: Place, pod: Object) -> str:
    """The last lines of a pod's container, of the one before it if that one crashed."""
    path = f"/api/v1/namespaces/{place.namespace}/pods/{pod['metadata']['name']}/log"
    query = {"tailLines": str(LINES)}
    texts = []
    for previous in ("true", "false") if _restarts(pod) else ("false",):
        try:
            lines = place.cluster.stream(path, {**query, "previous": previous})
            text = b"\n".join(lines).decode(errors="replace")
            texts += [] if text.startswith("unable to retrieve container logs") else [text]
        except Problem:
            continue  # there is no such container any more, or not yet
    return "\n".join(text for text in texts if text)


def _restarts(pod: Object) -> int:
    return sum(c.get("restartCount", 0) for c in pod.get("status", {}).get("containerStatuses", []))


def _stuck(deployment: Object) -> bool:
    conditions = deployment.get("status", {}).get("conditions", [])
    return any(c["type"] == "Progressing" and c.get("reason") == "ProgressDeadlineExceeded" for c in conditions)


def _show(scene: Scene, seen: dict[str, str], report: Reporter) -> None:
    for pod in scene.pods:
        name, state = pod["metadata"]["name"], pod_state(pod)
        if seen.get(name) != state:
            seen[name] = state
            report.note(f"{name} {state}")


def runs(pod: Object, since: datetime) -> bool:
    """Whether a pod is ready, by a container that was started since then; one that ends or has ended is none."""
    if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return True
    found = pod.get("status", {}).get("containerStatuses", [])
    times = [one.get("state", {}).get("running", {}).get("startedAt") for one in found]
    fresh = all(time and datetime.fromisoformat(time) >= since for time in times)
    return bool(found) and fresh and all(one.get("ready") for one in found)


def pod_state(pod: Object) -> str:
    """A pod's state in one word, as `kubectl get pods` says it."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        state = container.get("state", {})
        for key in ("waiting", "terminated"):
            if key in state:
                return str(state[key].get("reason", key))
        if "running" in state:
            return "Ready" if container.get("ready") else "Running"
    return str(status.get("phase", "Unknown"))


def _watch(place: Place, deployment: Object, report: Reporter) -> None:
    """Wait for the Deployment's next change, or for the window's end; what was missed is asked anew."""
    path = f"/apis/apps/v1/namespaces/{place.namespace}/deployments"
    query = {
        "watch": "true",
        "fieldSelector": f"metadata.name={place.service}",
        "resourceVersion": deployment["metadata"]["resourceVersion"],
        "timeoutSeconds": str(WINDOW),
    }
    began = time.monotonic()
    with suppress(Problem):  # the API is away: the next look says so, and waits
        for _ in place.cluster.stream(path, query):
            return
    report.cancel.wait(max(0.0, WINDOW - (time.monotonic() - began)))  # it may be forbidden, or end at once
