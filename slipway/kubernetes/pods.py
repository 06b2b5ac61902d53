"""What pods say of themselves: state, restarts, readiness, and the resources that they request. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from slipway.config.quantity import parse_quantity
from slipway.kubernetes.objects import Object

READY = "Ready"
OVERDUE = timedelta(seconds=30)  # beyond its grace period, which a node may need to remove what is left of a pod
REVISION = "deployment.kubernetes.io/revision"


def pod_state(pod: Object) -> str:
    """A pod's state in one word, as `kubectl get pods` shows it."""
    if is_ending(pod):
        return "Terminating"
    if reason := pod.get("status", {}).get("reason"):  # of a pod that its node has ended: Evicted
        return str(reason)
    containers = container_statuses(pod)
    if initializing := _initializing(pod):
        return initializing
    for container in containers:
        state = container.get("state", {})
        for key in ("waiting", "terminated"):
            if key in state:
                return str(state[key].get("reason", key))
    if any("running" in container.get("state", {}) for container in containers):
        return READY if all(container.get("ready") for container in containers) else "Running"
    return str(pod.get("status", {}).get("phase", "Unknown"))


def overdue(pods: Iterable[Object], now: datetime) -> list[str]:
    """The pods that should have ended and have not, such as those of a node that is gone: a line each."""
    ending = [(pod["metadata"]["name"], pod["metadata"].get("deletionTimestamp")) for pod in pods]
    return [  # the moment by which a pod is to be gone, its grace period included (API reference, ObjectMeta)
        f"Pod {name} should have ended at {until}, and has not: its node may be gone, or a finalizer waits"
        for name, until in ending
        if until and datetime.fromisoformat(until) + OVERDUE < now
    ]


def _initializing(pod: Object) -> str:
    """The state of the init container that keeps the others from starting; "" where none does."""
    for container in init_statuses(pod):
        state = container.get("state", {})
        ended, waiting = state.get("terminated"), state.get("waiting", {})
        if ended and ended.get("exitCode"):
            return f"Init:{ended.get('reason', 'Error')}"
        if waiting.get("reason", "PodInitializing") != "PodInitializing":
            return f"Init:{waiting['reason']}"
        if "running" in state and not container.get("started"):  # a sidecar runs on once it has started
            return "Init:Running"
    return ""


def container_statuses(pod: Object) -> list[Object]:
    """`status.containerStatuses`; empty before a node has taken the pod."""
    return list(pod.get("status", {}).get("containerStatuses", []))


def init_statuses(pod: Object) -> list[Object]:
    """`status.initContainerStatuses`: of what runs before the containers, and of sidecars."""
    return list(pod.get("status", {}).get("initContainerStatuses", []))


def all_statuses(pod: Object) -> list[Object]:
    """Those of all containers, in the order in which they start."""
    return [*init_statuses(pod), *container_statuses(pod)]


def has_failed(container: Object) -> bool:
    """Whether a container's status tells of a failure: it ended with one, or was started again and is not ready."""
    ended = container.get("state", {}).get("terminated", {})
    return bool(ended.get("exitCode") or (container.get("restartCount") and not container.get("ready")))


def is_ending(pod: Object) -> bool:
    """Whether a pod was deleted, and its containers may still have a moment to end."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def unschedulable(pod: Object) -> str | None:
    """Why the scheduler has found no node for a pod, in its words; None where it has, or has not looked yet."""
    conditions = pod.get("status", {}).get("conditions", [])
    waiting = (one for one in conditions if one["type"] == "PodScheduled" and one["status"] == "False")
    return next((str(one.get("message", "")) for one in waiting), None)


def is_being_created(pod: Object) -> bool:
    """Whether a node has taken a pod, and has not created the first of its containers yet."""
    states = [one.get("state", {}).get("waiting", {}) for one in all_statuses(pod)]
    reasons = {state.get("reason") for state in states}
    scheduled = bool(pod.get("spec", {}).get("nodeName")) or bool(states)
    return scheduled and not is_ending(pod) and reasons <= {"ContainerCreating", "PodInitializing"}


def restarts(pod: Object) -> int:
    """How often the containers of a pod were restarted."""
    return sum(container.get("restartCount", 0) for container in all_statuses(pod))


def settled_since(pod: Object, since: datetime) -> bool:
    """Whether a pod is ready with containers that were started at `since` or later; or it has ended, or is ending."""
    if is_ending(pod) or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return True
    containers = container_statuses(pod)
    times = [one.get("state", {}).get("running", {}).get("startedAt") for one in containers]
    fresh = all(time and datetime.fromisoformat(time) >= since for time in times)
    return bool(containers) and fresh and all(one.get("ready") for one in containers)


def oom_killed(pods: Iterable[Object]) -> set[str]:
    """The names of the pods of which a container was OOMKilled."""
    ends = (
        (pod["metadata"]["name"], container.get(state, {}).get("terminated", {}))
        for pod in pods
        for container in all_statuses(pod)
        for state in ("state", "lastState")
    )
    return {name for name, end in ends if end.get("reason") == "OOMKilled"}


def of_current_template(deployment: Object, replica_sets: Iterable[Object], pods: Iterable[Object]) -> list[Object]:
    """The pods of the Deployment's current template: those of the ReplicaSet with its revision.

    All pods where nobody may list ReplicaSets: a Deployment that has pods has one.
    """
    replica_sets = list(replica_sets)
    if not replica_sets:
        return list(pods)
    current = {one["metadata"]["uid"] for one in replica_sets if _revision(one) == _revision(deployment)}
    return [p for p in pods if any(o["uid"] in current for o in p["metadata"].get("ownerReferences", []))]


def _revision(one: Object) -> object:
    return one["metadata"].get("annotations", {}).get(REVISION)


def requests_by_node(pods: Iterable[Object]) -> dict[str, tuple[float, float]]:
    """What pods request of each node: CPUs and bytes."""
    found: dict[str, tuple[float, float]] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if node and pod.get("status", {}).get("phase") in {"Pending", "Running"}:
            requests = [c.get("resources", {}).get("requests", {}) for c in pod["spec"]["containers"]]
            cpu, memory = (
                float(sum(parse_quantity(one.get(k, 0)) or 0 for one in requests)) for k in ("cpu", "memory")
            )
            before = found.get(node, (0.0, 0.0))
            found[node] = (before[0] + cpu, before[1] + memory)
    return found
