"""Causes, not symptoms: what keeps pods from being ready, read from their states, events and last log lines. Pure.

The texts that are searched here are the cluster's own: of its controllers, schedulers, kubelets and registries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slipway.config.quantity import parse_quantity
from slipway.docker.exit_causes import KILLED, Cause, exit_cause, nothing_listens, wrong_path
from slipway.docker.registry_errors import is_denied
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pods import all_statuses, init_statuses, is_being_created, unschedulable

if TYPE_CHECKING:
    from slipway.kubernetes.snapshot import Snapshot

EXCEEDED_QUOTA = "exceeded quota"  # of a pod that the API server does not create
QUOTA_PATIENCE = 120.0  # seconds for earlier pods to end, which a quota counts
ROOM_PATIENCE = 120.0  # seconds for earlier pods to end, which hold a node's room: also those of other rollouts
PULL_SECRET_PATIENCE = 45.0  # seconds for a kubelet to try again, which it does after 10 and 30
SCALE_UP_PATIENCE = 600.0  # seconds for a cloud's machine to join the cluster
VOLUME_HINT = "kubectl describe pvc; does another node still have it, or does the cluster lack its driver?"
CREATION = {  # by the reasons of a kubelet's events: what is wrong, and a hint
    "FailedMount": ("a volume can't be mounted", VOLUME_HINT),
    "FailedMapVolume": ("a volume can't be mounted", VOLUME_HINT),
    "FailedAttachVolume": ("a volume can't be attached to the node", VOLUME_HINT),
    "FailedCreatePodSandBox": (
        "the node can't create the pod's network or sandbox",
        "kubectl describe node; is its network plugin well?",
    ),
}
_MISSING = re.compile(r'(configmap|secret) "([^"]+)" not found')


@dataclass(frozen=True)
class MissingObject(Cause):
    """An object that a kubelet did not find: a ConfigMap or a Secret, by its name."""

    kind: str = ""
    name: str = ""


def causes(snapshot: Snapshot) -> list[Cause]:
    """Every cause, final ones first, each once."""
    found = [*_no_pod(snapshot), *(cause for pod in snapshot.pods for cause in _pod(pod, snapshot))]
    unique = {cause.summary: cause for cause in found}
    return sorted(unique.values(), key=_is_not_final)


def _is_not_final(cause: Cause) -> bool:
    return not cause.final


def _no_pod(snapshot: Snapshot) -> Iterator[Cause]:
    """Why the ReplicaSet could not create a pod: the Deployment's condition ReplicaFailure, reason FailedCreate."""
    for condition in snapshot.deployment.get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            yield _create_failed(condition.get("message", ""), snapshot.deployment)


def _create_failed(text: str, deployment: Object) -> Cause:
    """The cause in the API server's answer to the ReplicaSet controller."""
    if "must specify" in text:
        hint = 'set what it names in the service file: resources: {limits: {cpu: "1"}}'
        return Cause(f"a quota of the namespace wants more to be said of a pod: {text}", hint, final=True)
    if EXCEEDED_QUOTA in text:
        return _quota_exceeded(text, makes_room=_makes_room(deployment))
    if "violates PodSecurity" in text:
        details = text.partition("violates PodSecurity")[2]
        hint = "change what it names in manifests/ or the image"
        return Cause(f"Pod Security refuses the pod:{details}", hint, final=True)
    return Cause(f"no pod can be created: {text}", "change what the message names", final=True)


def _makes_room(deployment: Object) -> bool:
    """Whether earlier pods end: at once, or as soon as a new one that there was room for is ready."""
    recreated = deployment.get("spec", {}).get("strategy", {}).get("type") == "Recreate"
    return recreated or bool(deployment.get("status", {}).get("updatedReplicas"))


def _quota_exceeded(text: str, *, makes_room: bool) -> Cause:
    """A quota that can never have room for a pod, or has none while others use it up."""
    found = re.search(r"requested: (\S+), used: \S+, limited: (\S+)", text)
    asked, limits = (
        (dict(p.split("=", 1) for p in part.split(",") if "=" in p) for part in found.groups()) if found else ({}, {})
    )
    if any((parse_quantity(asked[key]) or 0) > (parse_quantity(limits.get(key, asked[key])) or 0) for key in asked):
        hint = "request less in the service file, or raise the quota: kubectl describe quota"
        return Cause(f"a pod asks for more than a quota of the namespace allows at all: {text}", hint, final=True)
    if makes_room:  # they count until they have ended, and the controller tries again at ever longer intervals
        return Cause(f"a quota of the namespace is used up: {text}", "kubectl describe quota", patience=QUOTA_PATIENCE)
    hint = "a rollout needs room for one pod more while the old ones run: request less, run fewer, or raise the quota"
    return Cause(f"a quota of the namespace is used up: {text}", hint)


def _pod(pod: Object, snapshot: Snapshot) -> Iterator[Cause]:
    state = pod.get("status", {})
    if state.get("reason") == "Evicted":
        yield _evicted(state.get("message", ""))
        return
    if (message := unschedulable(pod)) is not None:
        yield _scaling_up(pod, snapshot) or _unschedulable(message, pod, snapshot)
    own = [
        one["name"]
        for one in snapshot.deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    ]
    specs = {one["name"]: one for key in ("initContainers", "containers") for one in pod["spec"].get(key, [])}
    begun = {one["name"] for one in init_statuses(pod)}
    for container in all_statuses(pod):
        name = container["name"]
        found = _container(container, specs.get(name, {}), pod, snapshot)
        if name in begun:
            yield from (_of(cause, f"init container {name}") for cause in found)
        elif own and name not in own:
            yield from (_of(cause, f"container {name}, which is not the service's own") for cause in found)
        else:
            yield from found
    if is_being_created(pod):
        yield from _not_created(pod, snapshot)


def _of(cause: Cause, container: str) -> Cause:
    return replace(cause, summary=f"{container}: {cause.summary}")


def _container(container: Object, spec: Object, pod: Object, snapshot: Snapshot) -> Iterator[Cause]:
    state = container.get("state", {})
    if waiting := state.get("waiting"):
        unread = _last_event(pod, snapshot, ("FailedToRetrieveImagePullSecret",))
        yield from _waiting(waiting.get("reason", ""), waiting.get("message", ""), spec, unread)
    yield from _terminated(container, spec, pod["metadata"]["name"], snapshot)
    if "running" in state and not container.get("ready") and spec.get("readinessProbe"):
        yield from _unready(pod, spec, snapshot)


def _evicted(message: str) -> Cause:
    """Why a node ended a pod. Another one takes its place: that it happened once is no reason to stop waiting."""
    hint = "raise resources.memory to what it needs, lower it elsewhere, or give the cluster more"
    if "EmptyDir" in message or "ephemeral" in message:
        hint = "write less to /tmp, which has 64Mi, or give the service `storage`"
    return Cause(f"its node evicted a pod: {message.strip()}", hint, patience=math.inf)


def _not_created(pod: Object, snapshot: Snapshot) -> Iterator[Cause]:
    """Why a kubelet has not created a pod's containers, in its last event: a volume, the pod's network."""
    last = _last_event(pod, snapshot, CREATION)
    if last is None:
        return
    reason, text = last["reason"], last.get("message", "")
    summary, hint = CREATION[reason]
    if missing := _MISSING.search(text):
        kind = {"configmap": "ConfigMap", "secret": "Secret"}[missing[1]]
        yield MissingObject(
            f"{summary}: {text}", f"create {kind} {missing[2]}, or add it to manifests/", kind=kind, name=missing[2]
        )
    else:
        yield Cause(f"{summary}: {text}", hint)


def _terminated(container: Object, spec: Object, pod: str, snapshot: Snapshot) -> Iterator[Cause]:
    """Why a container ended; the end of the one before does not count once the container is ready."""
    before = {} if container.get("ready") else container.get("lastState", {})
    end = container.get("state", {}).get("terminated") or before.get("terminated")
    if end and (end.get("exitCode") or end.get("reason") == "OOMKilled"):
        limit = spec.get("resources", {}).get("limits", {}).get("memory", "no limit")
        log = "\n".join((snapshot.logs.get((pod, container["name"]), ""), end.get("message", "")))
        code = end.get("exitCode", 0)
        oom = end.get("reason") == "OOMKilled" or (code == KILLED and pod in snapshot.oom_killed)
        yield exit_cause(code, limit, log, oom=oom, restarts=container.get("restartCount", 0))


def _unschedulable(message: str, pod: Object, snapshot: Snapshot) -> Cause:
    """The cause in the scheduler's message. Where a node is large enough for the pod, others hold its room for now."""
    requests = [c["resources"].get("requests", {}) for c in pod["spec"]["containers"] if "resources" in c]
    for resource, unit, size in (("cpu", "CPUs", 1.0), ("memory", "MiB", 2.0**20)):
        if f"Insufficient {resource}" in message:
            want = float(sum((parse_quantity(one.get(resource, 0)) or 0) for one in requests)) / size
            sizes = {
                node["metadata"]["name"]: float(parse_quantity(node["status"]["allocatable"][resource]) or 0) / size
                for node in snapshot.nodes
            }
            free = [
                f"{name} has {sizes[name] - used[resource == 'memory'] / size:.2f} of {sizes[name]:.2f} {unit} left"
                for name, used in snapshot.requested.items()
            ]
            summary = f"no node has room: a pod asks for {want:.2f} {unit}; {'; '.join(free) or message}"
            patience = ROOM_PATIENCE if any(want <= one for one in sizes.values()) else 0.0
            hint = f"lower resources.{resource} or replicas, or give the cluster more"
            return Cause(summary, hint, patience=patience)
    return Cause(f"no node takes the pod: {message}", "kubectl describe node")


def _scaling_up(pod: Object, snapshot: Snapshot) -> Cause | None:
    """That an autoscaler is adding a node for a pod: Cluster Autoscaler's and Karpenter's events say so."""
    last = _last_event(pod, snapshot, ("TriggeredScaleUp", "Nominated", "NotTriggerScaleUp"))
    if last is None or last["reason"] == "NotTriggerScaleUp":
        return None
    summary = f"the cluster's autoscaler is adding a node: {last.get('message', '')}"
    return Cause(summary, "kubectl describe node; look at the autoscaler's log", patience=SCALE_UP_PATIENCE)


def _last_event(pod: Object, snapshot: Snapshot, reasons: Collection[str]) -> Object | None:
    """A pod's last event with one of these reasons."""
    name = pod["metadata"]["name"]
    about = [event for event in snapshot.events if event.get("involvedObject", {}).get("name") == name]
    return max((e for e in reversed(about) if e.get("reason") in reasons), key=_event_time, default=None)


def _event_time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def _waiting(reason: str, text: str, spec: Object, unread: Object | None) -> Iterator[Cause]:
    """The cause in a kubelet's reason and message for a container that waits to start.

    `unread` is the event that it could not read the credentials for the image.
    """
    if reason in {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}:
        yield _pull_failed(reason, text, spec.get("image", ""), unread)
    elif reason == "CreateContainerConfigError":
        yield _config_error(text)
    elif reason in {"RunContainerError", "CreateContainerError"} and "exec format error" in text:
        yield exit_cause(1, "", text, oom=False)
    elif reason in {"RunContainerError", "CreateContainerError"}:
        yield Cause(f"the container can't be started: {text}", "look at the image's ENTRYPOINT")


def _pull_failed(reason: str, text: str, image: str, unread: Object | None) -> Cause:
    if re.search(r"no match for platform|no matching manifest", text):
        return Cause(f"image {image} is not for this node's platform", "build it for the node's platform", final=True)
    if re.search(r"not found|manifest unknown|InvalidImageName|couldn't parse", f"{reason} {text}"):
        return Cause(f"image {image} is absent: {text}", "is its tag right, and was it pushed?", final=True)
    if is_denied(text) and unread:  # a secret that was created a moment ago may be read at the next try
        hint = "is there the secret that imagePullSecrets names, and has it the registry's credentials?"
        summary = f"the registry lets no node pull {image}: {text}; its node says: {unread.get('message', '')}"
        return Cause(summary, hint, patience=PULL_SECRET_PATIENCE)
    if is_denied(text):
        hint = "give the namespace the registry's credentials: docs/clusters.md, Other clusters"
        return Cause(f"the registry lets no node pull {image}: {text}", hint, final=True)
    return Cause(f"image {image} can't be pulled: {text}", "can the node reach its registry?")


def _config_error(text: str) -> Cause:
    hint = "set it in the service file's `secrets` or `env`"
    if "non-root" in text or "runAsNonRoot" in text:
        hint = "give the image a numeric USER that is not 0"
    final = "failed to sync" not in text  # a kubelet that could not reach the API server for a moment
    summary = f"the container can't be configured: {text}"
    if missing := _MISSING.search(text):
        kind = {"configmap": "ConfigMap", "secret": "Secret"}[missing[1]]
        return MissingObject(summary, hint, final, kind=kind, name=missing[2])
    return Cause(summary, hint, final=final)


def _unready(pod: Object, spec: Object, snapshot: Snapshot) -> Iterator[Cause]:
    """The cause in the kubelet's last event of a failed probe."""
    name = pod["metadata"]["name"]
    texts = [e.get("message", "") for e in snapshot.events if e.get("involvedObject", {}).get("name") == name]
    probe = spec.get("readinessProbe", {}).get("httpGet", {})
    port = spec["ports"][0]["containerPort"] if spec.get("ports") else "?"
    text = next((t for t in reversed(texts) if "probe failed" in t), "")
    if "connection refused" in text:
        yield nothing_listens(port)
    elif found := re.search(r"statuscode: (\d+)", text):
        yield wrong_path(probe.get("path", "/"), found[1])
    elif text:
        yield Cause(text, "look at `health` in the service file")
