"""What `status` says of a cluster: each Deployment with its pods, and how full the nodes are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from slipway.config.quantity import number
from slipway.deployers.deployer import Pod, ServiceStatus
from slipway.deployers.kubernetes.release_store import State
from slipway.kubernetes import rollout
from slipway.kubernetes.client import Cluster
from slipway.kubernetes.objects import Object


def live(facts: State, deployment: Object, release: int | None) -> ServiceStatus:
    """A service as its Deployment and its pods tell of it; `release` is the number of the one that serves."""
    name, state = deployment["metadata"]["name"], deployment.get("status", {})
    namespace, pods = deployment["metadata"]["namespace"], facts.of(name, "Pod")
    image, _, digest = deployment["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")
    began = [datetime.fromisoformat(p["status"]["startTime"]) for p in pods if p.get("status", {}).get("startTime")]
    ports = (port["port"] for one in facts.of(name, "Service") for port in one["spec"].get("ports", []))
    return ServiceStatus(
        name=name,
        release=release,
        wanted=deployment["spec"].get("replicas", 1),
        ready=state.get("readyReplicas", 0),
        restarts=sum(c.get("restartCount", 0) for p in pods for c in p.get("status", {}).get("containerStatuses", [])),
        image=image,
        digest=digest,
        age=max(0.0, (datetime.now(UTC) - min(began)).total_seconds()) if began else 0.0,
        ports=tuple(f"{name}.{namespace}.svc:{port}" for port in ports),
        containers=tuple(Pod(p["metadata"]["name"], rollout.pod_state(p)) for p in pods),
    )


def nodes(cluster: Cluster) -> list[dict[str, Any]]:
    """Each node's requested and allocatable CPUs and bytes."""
    used = rollout.requested(cluster.list("v1", "Pod", None))
    found = []
    for node in cluster.list("v1", "Node", None):
        name, have = node["metadata"]["name"], node["status"]["allocatable"]
        cpu, memory = used.get(name, (0.0, 0.0))
        room = {key: number(have[key]) or 0.0 for key in ("cpu", "memory")}
        asked = {"cpu": round(cpu, 3), "memory": memory}
        found.append({"name": name, **{k: {"requested": asked[k], "allocatable": room[k]} for k in room}})
    return found


def platforms(cluster: Cluster) -> set[str]:
    """The Docker platforms of the nodes: linux/amd64."""
    infos = (node["status"]["nodeInfo"] for node in cluster.list("v1", "Node", None))
    return {f"{info['operatingSystem']}/{info['architecture']}" for info in infos}
