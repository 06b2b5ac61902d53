"""What a rollout looks like at one moment, read from the API in parallel."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from slipway.engine.threads import Threads
from slipway.errors import Problem, deploy_command
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pods import all_statuses, has_failed, of_current_template, requests_by_node, unschedulable
from slipway.kubernetes.rights import unless_refused
from slipway.kubernetes.workload import Workload

LINES = 40  # of a container's log, and as many of the one before it
CONNECTIONS = 6  # at once


@dataclass(frozen=True)
class Snapshot:
    """A Deployment, the pods of its current template, their events and last log lines, and the nodes."""

    deployment: Object
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by pod and container
    nodes: Sequence[Object] = ()
    requested: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by node: CPUs, bytes
    oom_killed: Collection[str] = ()  # pods seen OOMKilled before: a container runtime may call a later end an Error


def read_snapshot(workload: Workload) -> Snapshot:
    """As much as a waiting rollout needs: the nodes only while a pod waits for one, log lines only of pods that were
    restarted and are not ready.

    Raises Problem when the Deployment does not exist, and Unreachable when the API does not answer.
    """
    return _with_size_of_nodes(workload, _read(workload, Threads(CONNECTIONS), _failed))


def read_full_snapshot(workload: Workload) -> Snapshot:
    """Everything that tells a cause: also the nodes, what is requested of them, and the log lines of every pod."""
    pool = Threads(CONNECTIONS)
    node_list = pool.submit(_listed, workload, "v1", "Node", None)
    all_pods = pool.submit(_listed, workload, "v1", "Pod", None)
    found = _read(workload, pool, _own_and_failed)
    return _with_nodes(found, node_list.result(), all_pods.result())


def read_pod_snapshot(workload: Workload, pod: Object, *, full: bool = False) -> Snapshot:
    """The same of one pod that no Deployment has: its spec stands for the template of one."""
    events, name = _listed(workload, "v1", "Event", workload.namespace), pod["metadata"]["name"]
    about = [event for event in events if event.get("involvedObject", {}).get("name") == name]
    containers = _own_and_failed(workload, pod) if full else _failed(workload, pod)
    logs = {(name, one): last_lines(workload, pod, one) for one in containers}
    found = Snapshot({"spec": {"replicas": 1, "template": {"spec": pod["spec"]}}}, [pod], about, logs)
    if not full:
        return _with_size_of_nodes(workload, found)
    return _with_nodes(found, _listed(workload, "v1", "Node", None), _listed(workload, "v1", "Pod", None))


def _with_size_of_nodes(workload: Workload, found: Snapshot) -> Snapshot:
    """The snapshot with the nodes, if a pod of it waits for one."""
    if all(unschedulable(pod) is None for pod in found.pods):
        return found
    return replace(found, nodes=_listed(workload, "v1", "Node", None))


def _with_nodes(found: Snapshot, nodes: Sequence[Object], pods: Sequence[Object]) -> Snapshot:
    """The snapshot with the nodes, and what all pods request of them."""
    if not pods:  # nobody may list them: what is left of the nodes is unknown
        return found
    requested = requests_by_node(pods)
    names = [node["metadata"]["name"] for node in nodes]
    return replace(found, nodes=nodes, requested={name: requested.get(name, (0, 0)) for name in names})


def last_lines(workload: Workload, pod: Object, container: str) -> str:
    """The last log lines of a container; where it was restarted, those of the one before it come first."""
    path, query = workload.log_path(pod["metadata"]["name"]), {"tailLines": str(LINES), "container": container}
    status = next((one for one in all_statuses(pod) if one["name"] == container), {})
    texts = []
    for previous in ("true", "false") if status.get("restartCount") else ("false",):
        try:
            lines = workload.cluster.stream(path, {**query, "previous": previous})
            text = b"\n".join(lines).decode(errors="replace")
        except Problem:
            continue  # there is no such container any more, or not yet
        if not text.startswith("unable to retrieve container logs"):  # the kubelet's words, with status 200
            texts.append(text)
    return "\n".join(text for text in texts if text)


def _read(workload: Workload, pool: Threads, containers: Callable[[Workload, Object], Iterable[str]]) -> Snapshot:
    cluster, namespace = workload.cluster, workload.namespace
    deployment = pool.submit(cluster.get, "apps/v1", "Deployment", workload.service, namespace)
    replica_sets = pool.submit(_listed, workload, "apps/v1", "ReplicaSet", namespace, workload.selector)
    pods = pool.submit(workload.pods)
    events = pool.submit(_listed, workload, "v1", "Event", namespace)
    found = deployment.result()
    if found is None:
        raise Problem(
            f"{workload.service}: its Deployment was deleted meanwhile", commands=[deploy_command(workload.service)]
        )
    current = of_current_template(found, replica_sets.result(), pods.result())
    names = {pod["metadata"]["name"] for pod in current}
    about = [event for event in events.result() if event.get("involvedObject", {}).get("name") in names]
    reading = {
        (pod["metadata"]["name"], name): pool.submit(last_lines, workload, pod, name)
        for pod in current
        for name in containers(workload, pod)
    }
    return Snapshot(found, current, about, {key: lines.result() for key, lines in reading.items()})


def _listed(workload: Workload, *what: str | None) -> list[Object]:
    """The objects of a list that a diagnosis can do without; none where the API server refuses it."""
    return unless_refused(partial(workload.cluster.list, *what), [])  # type: ignore[arg-type]


def _failed(_: Workload, pod: Object) -> list[str]:
    """The containers of a pod that have failed, also those that something injected."""
    return [one["name"] for one in all_statuses(pod) if has_failed(one)]


def _own_and_failed(workload: Workload, pod: Object) -> list[str]:
    """The service's own container of a pod, and those that have failed."""
    return list(dict.fromkeys((*_failed(workload, pod), workload.service)))
