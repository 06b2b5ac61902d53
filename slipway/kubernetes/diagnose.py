"""Causes, not symptoms: what keeps pods from serving, read from their states, events and last lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from slipway.config.quantity import parse_quantity
from slipway.docker.exit_causes import KILLED, Cause, ended, silent_port, wrong_path
from slipway.kubernetes.objects import Object

_REFUSED = re.compile(r"(?i)unauthorized|forbidden|no basic auth|authorization failed|(?<!permission )denied")


@dataclass(frozen=True)
class Scene:
    """What was seen of one rollout: the Deployment, its new pods, their events, last log lines by pod, the nodes."""

    deployment: Object
    pods: Sequence[Object] = ()
    events: Sequence[Object] = ()
    logs: Mapping[str, str] = ()  # type: ignore[assignment]
    nodes: Sequence[Object] = ()
    requested: Mapping[str, tuple[float, float]] = ()  # type: ignore[assignment]  # node: (CPUs, bytes)
    starved: Collection[str] = ()  # pods seen OOMKilled before: a container runtime may call a later such end an Error


def causes(scene: Scene) -> list[Cause]:
    """Every cause, final ones first, each once."""
    found = [*_refused(scene), *(cause for pod in scene.pods for cause in _pod(pod, scene))]
    unique = {cause.summary: cause for cause in found}
    return sorted(unique.values(), key=lambda cause: not cause.final)


def refused(text: str) -> bool:
    """Whether a registry wants other credentials, as Docker or containerd say it."""
    return bool(_REFUSED.search(text))


def starved(pods: Iterable[Object]) -> set[str]:
    """The names of the pods of which a container was OOMKilled."""
    ends = (
        (pod["metadata"]["name"], container.get(state, {}).get("terminated", {}))
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", [])
        for state in ("state", "lastState")
    )
    return {name for name, end in ends if end.get("reason") == "OOMKilled"}


def _refused(scene: Scene) -> Iterator[Cause]:
    """Why the ReplicaSet could not even make a pod (condition ReplicaFailure, reason FailedCreate)."""
    for condition in scene.deployment.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            text = condition.get("message", "")
            if "exceeded quota" in text:
                yield Cause(
                    f"a quota of the namespace is used up: {text}", "kubectl describe quota; ask for less", final=True
                )
            elif "violates PodSecurity" in text:
                details = text.partition("violates PodSecurity")[2]
                yield Cause(
                    f"Pod Security refuses the pod:{details}",
                    "change what it names in manifests/ or the image",
                    final=True,
                )
            else:
                yield Cause(f"no pod can be made: {text}", "the message names what to change", final=True)


def _pod(pod: Object, scene: Scene) -> Iterator[Cause]:
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield _pending(condition.get("message", ""), pod, scene)
    for container in status.get("containerStatuses", []):
        spec = next(c for c in pod["spec"]["containers"] if c["name"] == container["name"])
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            yield from _waiting(waiting, spec)
        before = {} if container.get("ready") else container.get("lastState", {})
        end = state.get("terminated") or before.get("terminated")
        if end and (end.get("exitCode") or end.get("reason") == "OOMKilled"):
            limit = spec.get("resources", {}).get("limits", {}).get("memory", "no limit")
            log = "\n".join((scene.logs.get(name, "") if scene.logs else "", end.get("message", "")))
            code, times = end.get("exitCode", 0), container.get("restartCount", 0)
            killed = end.get("reason") == "OOMKilled" or (code == KILLED and name in scene.starved)
            yield ended(code, limit, log, oom=killed, restarts=times)
        if "running" in state and not container.get("ready"):
            yield from _unready(pod, spec, scene)


def _pending(message: str, pod: Object, scene: Scene) -> Cause:
    asked = [c["resources"].get("requests", {}) for c in pod["spec"]["containers"] if "resources" in c]
    for resource, unit, size in (("cpu", "CPUs", 1.0), ("memory", "MiB", 2.0**20)):
        if f"Insufficient {resource}" in message:
            want = sum((parse_quantity(one.get(resource, 0)) or 0.0) for one in asked) / size
            rooms = []
            for node in scene.nodes:
                have = (parse_quantity(node["status"]["allocatable"][resource]) or 0.0) / size
                used = scene.requested[node["metadata"]["name"]][resource == "memory"] / size if scene.requested else 0
                rooms.append(f"{node['metadata']['name']} has {have - used:.2f} of {have:.2f} {unit} left")
            summary = f"no node has room: a pod asks for {want:.2f} {unit}; {'; '.join(rooms)}"
            return Cause(summary, f"lower resources.{resource} or replicas, or give the cluster more")
    return Cause(f"no node takes the pod: {message}", "kubectl describe node")


def _waiting(waiting: Mapping[str, str], spec: Object) -> Iterator[Cause]:
    reason, text = waiting.get("reason", ""), waiting.get("message", "")
    image = spec["image"]
    if reason in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}:
        if re.search(r"no match for platform|no matching manifest", text):
            yield Cause(
                f"image {image} is not for this node's platform", "build it for the node's platform", final=True
            )
        elif re.search(r"not found|manifest unknown|InvalidImageName|couldn't parse", f"{reason} {text}"):
            yield Cause(f"image {image} is absent: {text}", "is its tag right, and was it pushed?", final=True)
        elif refused(text):
            hint = "give the namespace the registry's credentials: docs/clusters.md, Other clusters"
            yield Cause(f"the registry lets no node pull {image}: {text}", hint, final=True)
        else:
            yield Cause(f"image {image} can't be pulled: {text}", "is its registry in the node's reach?")
    elif reason == "CreateContainerConfigError":
        hint = "set it in the service file's `secrets` or `env`"
        if "non-root" in text or "runAsNonRoot" in text:
            hint = "give the image a numeric USER that is not 0"
        final = "failed to sync" not in text  # a kubelet that has not heard from the API server for a moment
        yield Cause(f"the container can't be configured: {text}", hint, final=final)
    elif reason in {"RunContainerError", "CreateContainerError"} and "exec format error" in text:
        yield ended(1, "", text, oom=False)
    elif reason in {"RunContainerError", "CreateContainerError"}:
        yield Cause(f"the container can't be started: {text}", "look at the image's ENTRYPOINT")


def _unready(pod: Object, spec: Object, scene: Scene) -> Iterator[Cause]:
    texts = [
        e.get("message", "") for e in scene.events if e.get("involvedObject", {}).get("name") == pod["metadata"]["name"]
    ]
    probe = spec.get("readinessProbe", {}).get("httpGet", {})
    port = spec["ports"][0]["containerPort"] if spec.get("ports") else "?"
    text = next((t for t in reversed(texts) if "probe failed" in t), "")
    if "connection refused" in text:
        yield silent_port(port)
    elif found := re.search(r"statuscode: (\d+)", text):
        yield wrong_path(probe.get("path", "/"), found[1])
    elif text:
        yield Cause(text, "look at `health` in the service file")
