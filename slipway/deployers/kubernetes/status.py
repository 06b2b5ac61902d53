"""What `status` says of a cluster: each Deployment with its pods, and how full the nodes are."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from operator import attrgetter

from slipway.config.quantity import parse_quantity
from slipway.deployers.kubernetes import dev_pods
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace, running
from slipway.deployers.kubernetes.release_store import State
from slipway.deployers.status import CopyStatus, DevStatus, NodeUsage, ServiceStatus
from slipway.kubernetes.client import Client
from slipway.kubernetes.logs import warnings
from slipway.kubernetes.manifests.labels import NAME
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pods import READY, overdue, pod_state, requests_by_node, restarts
from slipway.kubernetes.rights import unless_forbidden


class KubernetesStatus:
    """A `StatusReader` of one namespace."""

    def __init__(self, namespace: ProjectNamespace) -> None:
        self._namespace, self._cluster = namespace, namespace.scope.cluster

    def services(self) -> list[ServiceStatus]:
        """Each Deployment with its pods, and what is only under development."""
        state = self._namespace.reachable()
        found = []
        for one in (o for o in state.objects if o["kind"] == "Deployment"):
            stored = running(state, one["metadata"]["name"])
            found.append(service_status(state, one, stored.release.number if stored else None))
        alone = {pod["metadata"]["labels"][NAME] for pod in state.dev_pods}.difference(one.name for one in found)
        found += [ServiceStatus(name, None, 0, 0, 0, "", "", 0.0, (), (), "", _dev(state, name)) for name in alone]
        return sorted(found, key=attrgetter("name"))

    def nodes(self) -> list[NodeUsage]:
        """What is asked of the nodes, and what they have; nothing where the user may not list all nodes and pods."""
        self._namespace.reachable()
        return unless_forbidden(partial(nodes, self._cluster), [])

    def warnings(self) -> list[str]:
        """Releases that can't be read, pods that should have ended, and the last minutes' warnings, newest last."""
        state, now = self._namespace.state.facts(), datetime.now(UTC)
        pods = [one for one in state.objects if one["kind"] == "Pod"]
        unready = {pod["metadata"]["name"] for pod in pods if pod_state(pod) != READY}
        unread = [f"Secret {name} is a release that can't be read, and is left alone" for name in state.unreadable]
        listed = partial(self._cluster.list, "v1", "Event", self._namespace.name)
        events = unless_forbidden(listed, ())
        return [*unread, *overdue(pods, now), *warnings(events, unready, now)]


def service_status(namespace: State, deployment: Object, release: int | None) -> ServiceStatus:
    """A service by its Deployment and pods; `release` is the number of the running one."""
    name, state = deployment["metadata"]["name"], deployment.get("status", {})
    pods, services = namespace.of(name, "Pod"), namespace.of(name, "Service")
    image, _, digest = deployment["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")
    started = [datetime.fromisoformat(p["status"]["startTime"]) for p in pods if p.get("status", {}).get("startTime")]
    ports = (port["port"] for one in services for port in one["spec"].get("ports", []))
    domain = f"{name}.{deployment['metadata']['namespace']}.svc"
    return ServiceStatus(
        name=name,
        release=release,
        wanted=deployment["spec"].get("replicas", 1),
        ready=state.get("readyReplicas", 0),
        restarts=sum(restarts(pod) for pod in pods),
        image=image,
        digest=digest,
        age=max(0.0, (datetime.now(UTC) - min(started)).total_seconds()) if started else 0.0,
        ports=tuple(f"{domain}:{port}" for port in ports),
        containers=tuple(CopyStatus(p["metadata"]["name"], pod_state(p)) for p in pods),
        drift=dev_pods.drift(namespace, name),
        dev=_dev(namespace, name),
    )


def _dev(namespace: State, service: str) -> tuple[DevStatus, ...]:
    return tuple(
        DevStatus(
            name=pod["metadata"]["name"],
            state=pod_state(pod),
            who=dev_pods.who(pod),
            intercepts=dev_pods.intercepts(pod),
            patched=tuple(dev_pods.patched([pod])),
        )
        for pod in dev_pods.of_service(namespace, service)
    )


def nodes(cluster: Client) -> list[NodeUsage]:
    """Each node's requested and allocatable CPUs and bytes."""
    used = requests_by_node(cluster.list("v1", "Pod", None))
    found: list[NodeUsage] = []
    for node in cluster.list("v1", "Node", None):
        name, have = node["metadata"]["name"], node["status"]["allocatable"]
        cpu, memory = used.get(name, (0.0, 0.0))
        found.append(
            NodeUsage(
                name=name,
                cpu={"requested": round(cpu, 3), "allocatable": float(parse_quantity(have["cpu"]) or 0)},
                memory={"requested": memory, "allocatable": float(parse_quantity(have["memory"]) or 0)},
            )
        )
    return found


def platforms(cluster: Client) -> set[str] | None:
    """The Docker platforms of the nodes: linux/amd64. None where the user may not list them."""
    found = unless_forbidden(partial(cluster.list, "v1", "Node", None), ())
    infos = (node["status"]["nodeInfo"] for node in found)
    return {f"{info['operatingSystem']}/{info['architecture']}" for info in infos} or None
