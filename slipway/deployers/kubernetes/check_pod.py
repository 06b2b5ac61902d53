"""A short-lived restricted pod from which a service's checks are asked, by its name in the cluster."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from slipway.checks.report import CheckReport
from slipway.checks.runner import CheckRunner, CurlRunner, RunCommand
from slipway.config.models import Check
from slipway.engine.steps import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts.host import Command, Result
from slipway.kubernetes.client import Cluster
from slipway.kubernetes.manifests.labels import CHECK_POD, ROLE, labels, selector
from slipway.kubernetes.objects import Object

LIFE = 600  # seconds after which the cluster ends it by itself
READY = 60.0
NAMED = 60  # tries, a second apart
UNRESOLVED, TIMED_OUT = 6, 28  # curl's exit codes


def pod(project: str, namespace: str, image: str, name: str) -> Object:
    """The pod: curl in its image, nothing that it may do, and an end of its own."""
    container = {
        "name": "curl",
        "image": image,
        "command": ["sleep", str(LIFE)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFE,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    meta = {"name": name, "namespace": namespace, "labels": {**labels(project), ROLE: "probe"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


class PodCheckRunner:
    """Asks checks from a pod, once the cluster's DNS knows the service's name."""

    def __init__(self, run: RunCommand) -> None:
        self._run = run

    def run(self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter) -> CheckReport:
        """Ask every check at these addresses, in order."""
        resolved(self._run, addresses["BASE"], report)
        return CurlRunner(self._run).run(checks, addresses, report)


@contextmanager
def check_pod(
    cluster: Cluster, project: str, namespace: str, run: RunCommand, image: Callable[[Reporter], str], report: Reporter
) -> Iterator[CheckRunner]:
    """A runner that asks from such a pod, for as long as the context lasts. Raises Problem when it does not start.

    `run` runs kubectl; `image` brings the pod's image to the cluster and returns its reference.
    """
    made = pod(project, namespace, image(report), f"{CHECK_POD}-{secrets.token_hex(4)}")
    name = made["metadata"]["name"]
    cluster.create(made)
    try:
        _wait(cluster, namespace, name, report)

        def run_inside(command: Command, inner: Reporter) -> Result:
            words = cluster.context.kubectl("--namespace", namespace, "exec", "-i", name, "--", *command.argv)
            return run(replace(command, argv=words), inner)

        yield PodCheckRunner(run_inside)
    finally:
        with suppress(Problem):
            cluster.delete(made, grace=0)


def sweep(cluster: Cluster, project: str, namespace: str) -> None:
    """Remove the pods that killed deploys asked from."""
    for one in cluster.list("v1", "Pod", namespace, f"{selector(project)},{ROLE}=probe"):
        cluster.delete(one, grace=0)


def _wait(cluster: Cluster, namespace: str, name: str, report: Reporter) -> None:
    waited, state = 0.0, "nothing"
    while waited < READY:
        found = cluster.get("v1", "Pod", name, namespace) or {}
        status = found.get("status", {})
        if status.get("phase") == "Running":
            return
        states = [c.get("state", {}).get("waiting", {}) for c in status.get("containerStatuses", [])]
        state = ", ".join(f"{s.get('reason')}: {s.get('message', '')}" for s in states) or str(status.get("phase"))
        report.cancel.wait(0.2)
        waited += 0.2
    raise Problem("the pod that asks the checks did not start", details=state, hint="./invoke status shows the cluster")


def resolved(ask: RunCommand, base: str, report: Reporter) -> None:
    """Wait until the cluster's DNS knows the name in `base`: not at once, for a new Service or after a start."""
    question = Command(("curl", "-q", "-s", "-o", "/dev/null", "--max-time", "5", base), timeout=20)
    for attempt in range(NAMED):
        if ask(question, null_reporter(report.cancel)).exit_code not in {UNRESOLVED, TIMED_OUT}:
            return
        if attempt == 1:
            report.note(f"waits for the cluster's DNS to know {base}")
        report.cancel.wait(1)
