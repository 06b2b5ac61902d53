"""Pods of services under development in a namespace: whose traffic they take, and how it is given back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.release_store import State
from slipway.engine.reporter import Reporter
from slipway.kubernetes.client import Client
from slipway.kubernetes.lease import holder_has_exited
from slipway.kubernetes.manifests.labels import DEV, MANAGED_BY, NAME, PATCHED, ROLE, WHO, dev_labels, labels
from slipway.kubernetes.objects import Object


def of_service(state: State, service: str) -> list[Object]:
    """A service's pods under development."""
    return [pod for pod in state.dev_pods if pod["metadata"]["labels"].get(NAME) == service]


def intercepts(pod: Object) -> bool:
    """Whether a pod was started to take its service's traffic."""
    return bool(pod["metadata"]["labels"].get(ROLE) == "intercept")


def patched(pods: Iterable[Object]) -> list[str]:
    """The namespaces that were evaluated in these pods, sorted."""
    lists = (pod["metadata"].get("annotations", {}).get(PATCHED, "") for pod in pods)
    return sorted({name for text in lists for name in text.split(", ") if name})


def who(pod: Object) -> str:
    """Who started a pod: me@machine (pid 4711)."""
    return str(pod["metadata"].get("annotations", {}).get(WHO, "somebody"))


def is_intercepted(service: Object | None) -> bool:
    """Whether a Service sends its requests to a pod under development."""
    return service is not None and service["spec"].get("selector", {}).get(MANAGED_BY) == DEV


def drift(state: State, service: str) -> str:
    """How what answers for a service differs from its release, which may run beside it; empty where it does not."""
    if not is_intercepted(state.find("Service", service)):
        return ""
    pods = [pod for pod in of_service(state, service) if intercepts(pod)]
    if not pods:
        return "its traffic goes to a dev pod that is gone"
    names = ", ".join(patched(pods))
    return "a dev pod takes its traffic" + (f"; patched: {names}" if names else "")


def left_behind(state: State, service: str) -> Iterator[Object]:
    """A service's pods whose session was killed on this machine, or that have ended."""
    for pod in of_service(state, service):
        if holder_has_exited(pod) or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            yield pod


def intercept(cluster: Client, project: str, service: Object) -> None:
    """Have a Service send all of its requests to the pod under development that takes them."""
    selector = dev_labels(project, service["metadata"]["name"], intercept=True)
    cluster.patch(service, {"spec": {"selector": selector}})


def give_back(cluster: Client, project: str, service: Object | None) -> None:
    """Have a Service that sends its requests to a pod under development select the copies of its release again."""
    if service is None or not is_intercepted(service):
        return
    removed = dict.fromkeys(service["spec"].get("selector", {}))
    cluster.patch(service, {"spec": {"selector": {**removed, **labels(project, service["metadata"]["name"])}}})


def take_back(scope: NamespaceScope, state: State, service: str, report: Reporter) -> bool:
    """Give a service's copies the traffic that a pod under development takes, and remove that; whether one took it."""
    text = drift(state, service)
    if not text:
        return False
    give_back(scope.cluster, scope.project, state.find("Service", service))
    report.note(f"{text}: its copies get it again")
    remove(scope.cluster, [pod for pod in of_service(state, service) if intercepts(pod)], report)
    return True


def remove(cluster: Client, pods: Iterable[Object], report: Reporter) -> None:
    """Remove pods; one that takes traffic first answers what it was asked."""
    for pod in pods:
        cluster.delete(pod, grace=None if intercepts(pod) else 0)
        report.note(f"dev pod {pod['metadata']['name']} of {who(pod)} removed")
