"""The first new pod of a rollout, seen as soon as it runs: its node tells that it is ready up to a second later."""

from __future__ import annotations

import json
from collections.abc import Iterator

from slipway.engine.reporter import Reporter
from slipway.kubernetes import rollout
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pod_wait import runs
from slipway.kubernetes.pods import is_ending
from slipway.kubernetes.snapshot import read_snapshot
from slipway.kubernetes.workload import Workload

WATCH = 10  # seconds of one watch


def first_running_pod(workload: Workload, report: Reporter) -> Object:
    """The first pod of the Deployment's current template that runs and has an address, however long that takes.

    Raises Cancelled when it is not wanted any more, and Problem where pods can't be watched.
    """
    earlier = set[str]()
    while True:
        for pod in _changed_pods(workload):
            report.cancel.check()
            name = pod["metadata"]["name"]
            if name in earlier or is_ending(pod) or not (runs(pod) and pod["status"].get("podIP")):
                continue
            if _is_of_current_template(workload, name):
                return pod
            earlier.add(name)
        report.cancel.wait(0.1)  # a watch may end at once


def _changed_pods(workload: Workload) -> Iterator[Object]:
    """Every pod that there is, and then each that changes."""
    path = f"/api/v1/namespaces/{workload.namespace}/pods"
    query = {"watch": "true", "labelSelector": workload.selector, "timeoutSeconds": str(WATCH)}
    for line in workload.cluster.stream(path, query):
        event = json.loads(line)
        if event["type"] in {"ADDED", "MODIFIED"}:
            yield event["object"]


def _is_of_current_template(workload: Workload, name: str) -> bool:
    """Whether a pod that runs is a new one: until the controller has observed the Deployment, all are earlier ones."""
    found = read_snapshot(workload)
    observed = rollout.status(found.deployment) != rollout.UNOBSERVED
    return observed and any(pod["metadata"]["name"] == name for pod in found.pods)
