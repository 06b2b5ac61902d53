"""Which pods a Service sends requests to, as its EndpointSlices say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from slipway.engine.reporter import Reporter
from slipway.kubernetes.objects import Object
from slipway.kubernetes.rights import unless_refused
from slipway.kubernetes.snapshot import read_snapshot
from slipway.kubernetes.workload import Workload

TIMEOUT = 10.0  # seconds for the slices to name the new pods, and no others
POLL = 0.1
SETTLE = 1.5  # seconds for the nodes to follow: kube-proxy writes its rules once a second at most (minSyncPeriod)


def pod_addresses(workload: Workload, report: Reporter) -> list[str]:
    """Where the pods of the current template answer (`10.0.0.7:8080`), once the Service has no others.

    Empty where nobody may read the slices, and where they name other pods for `TIMEOUT`.
    """
    return _wait(workload, partial(_current, workload), report)


def host_and_port(host: str, port: int) -> str:
    """Where a pod listens, as a URL names it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def wait_until_routed(workload: Workload, report: Reporter) -> None:
    """Wait until requests to the Service reach pods of the current template alone.

    A rollout has ended when its pods are ready. For a moment the Service still sends requests to earlier ones, which
    answer until they have drained: checks would pass for what is not there any more.
    """
    _wait(workload, partial(_current, workload), report)
    _settle(report)


def wait_until_routed_to(workload: Workload, pod: str, report: Reporter) -> None:
    """Wait until requests to the Service reach this pod alone."""
    _wait(workload, partial(set, (pod,)), report)
    _settle(report)


def _settle(report: Reporter) -> None:
    report.cancel.wait(SETTLE)
    report.cancel.check()


def _current(workload: Workload) -> set[str]:
    return {pod["metadata"]["name"] for pod in read_snapshot(workload).pods}


def _wait(workload: Workload, wanted: Callable[[], set[str]], report: Reporter) -> list[str]:
    """The addresses that requests are sent to, once they are those of wanted pods alone."""
    selector = f"kubernetes.io/service-name={workload.service}"
    listed = partial(workload.cluster.list, "discovery.k8s.io/v1", "EndpointSlice", workload.namespace, selector)
    waited = 0.0
    while waited < TIMEOUT:
        slices = unless_refused(listed, None)
        if slices is None:
            break
        ready = [(part, one) for part in slices for one in part.get("endpoints") or () if _is_ready(one)]
        names = {one.get("targetRef", {}).get("name") for _, one in ready}
        if names and names <= wanted():
            return [address for part, one in ready for address in _addresses(part, one)]
        report.cancel.wait(POLL)
        report.cancel.check()
        waited += POLL
    return []


def _addresses(part: Object, endpoint: Object) -> list[str]:
    """An endpoint's address at the port of its slice: a Service of ours has one."""
    host = endpoint["addresses"][0]  # all of one endpoint are the same pod (API reference)
    return [host_and_port(host, port["port"]) for port in part.get("ports") or ()]


def _is_ready(endpoint: Object) -> bool:
    """Whether requests are sent to it; one of which it is not known is taken for ready (API reference)."""
    return endpoint.get("conditions", {}).get("ready") is not False
