"""A short-lived restricted pod from which a service's checks are run, by the service's name in the cluster."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from slipway.checks.report import CheckReport
from slipway.checks.runner import CheckRunner, CurlRunner, RunCommand
from slipway.config.models import Check
from slipway.docker.exit_causes import Cause
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ApiRefused, NextCommand, Problem
from slipway.hosts.host import Command, Result
from slipway.kubernetes.client import Client
from slipway.kubernetes.diagnose import EXCEEDED_QUOTA, QUOTA_PATIENCE, causes
from slipway.kubernetes.manifests.labels import CHECK_POD, ROLE, labels, selector
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pods import container_statuses
from slipway.kubernetes.rights import unless_refused
from slipway.kubernetes.snapshot import Snapshot

CONTAINER = "curl"  # others may be injected beside it
LIFETIME = 600  # seconds after which the cluster ends the pod by itself
START = 60.0  # seconds for the pod to start
POLL = 0.2
RESOLVE_ATTEMPTS = 60  # a second apart
UNRESOLVED, TIMED_OUT = 6, 28  # curl's exit codes


def pod(project: str, namespace: str, image: str, name: str) -> Object:
    """A pod with curl, no privileges and a deadline."""
    container = {
        "name": CONTAINER,
        "image": image,
        "command": ["sleep", str(LIFETIME)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFETIME,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    meta = {"name": name, "namespace": namespace, "labels": {**labels(project), ROLE: "probe"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


class PodCheckRunner:
    """A `CheckRunner` in a pod. It waits until the cluster's DNS resolves the service's name."""

    def __init__(self, run: RunCommand) -> None:
        self._run = run

    def run(self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter) -> CheckReport:
        """Run every check at these addresses, in order."""
        _wait_until_resolved(self._run, addresses["BASE"], report)
        return CurlRunner(self._run).run(checks, addresses, report)


@contextmanager
def check_pod(
    cluster: Client, project: str, namespace: str, run: RunCommand, image: Callable[[Reporter], str], report: Reporter
) -> Iterator[CheckRunner]:
    """A `CheckRunner` in such a pod, which is deleted with the context. Raises Problem when the pod does not start.

    `run` runs kubectl; `image` brings the pod's image to the cluster and returns its reference.
    """
    created = pod(project, namespace, image(report), f"{CHECK_POD}-{secrets.token_hex(4)}")
    name = created["metadata"]["name"]
    _create(cluster, created, report)
    try:
        _wait_until_running(cluster, namespace, name, report)
        exec_in_pod = cluster.context.kubectl("--namespace", namespace, "exec", "-i", "-c", CONTAINER, name, "--")
        yield PodCheckRunner(partial(_run_with_prefix, run, exec_in_pod))
    finally:
        with suppress(Problem):
            cluster.delete(created, grace=0)


def delete_left_over_pods(cluster: Client, project: str, namespace: str) -> None:
    """Delete the check pods of deploys that were killed."""
    for one in cluster.list("v1", "Pod", namespace, f"{selector(project)},{ROLE}=probe"):
        cluster.delete(one, grace=0)


def _run_with_prefix(run: RunCommand, prefix: tuple[str, ...], command: Command, report: Reporter) -> Result:
    return run(replace(command, argv=(*prefix, *command.argv)), report)


def _create(cluster: Client, created: Object, report: Reporter) -> None:
    """Create the pod; a quota that pods of the rollout still use up is waited for."""
    waited = 0.0
    while True:
        try:
            cluster.create(created)
        except ApiRefused as refused:
            if EXCEEDED_QUOTA not in refused.details:
                raise
            if waited >= QUOTA_PATIENCE:
                summary = "a quota of the namespace has no room for the pod that runs the checks"
                hint = "leave room for one small pod (10m CPU, 16Mi; at most 500m, 64Mi): kubectl describe quota"
                raise Problem(summary, details=refused.details, hint=hint) from refused
            if not waited:
                report.waiting_for(f"room for the pod that runs the checks: {refused.details}")
            report.cancel.wait(1)
            report.cancel.check()
            waited += 1
        else:
            return


def _wait_until_running(cluster: Client, namespace: str, name: str, report: Reporter) -> None:
    waited, limit, state = 0.0, START, ""
    created: Object = {}
    while waited < limit:
        created = cluster.get("v1", "Pod", name, namespace) or {}
        if created.get("status", {}).get("phase") == "Running":
            return
        waiting = [container.get("state", {}).get("waiting", {}) for container in container_statuses(created)]
        reasons = ", ".join(f"{one.get('reason')}: {one.get('message', '')}" for one in waiting)
        state = reasons or str(created.get("status", {}).get("phase"))
        report.cancel.wait(POLL)
        waited += POLL
        if waited >= START and limit == START:
            limit = _patience(_causes(cluster, namespace, created), report)
    found = _causes(cluster, namespace, created)
    details = "\n".join([*(cause.summary for cause in found), state])
    hint = next((cause.hint for cause in found if cause.hint), "")
    commands = [NextCommand("status")]
    raise Problem("the pod that runs the checks did not start", details=details, hint=hint, commands=commands)


def _causes(cluster: Client, namespace: str, found: Object) -> list[Cause]:
    events = unless_refused(partial(cluster.list, "v1", "Event", namespace), ())
    return causes(Snapshot({}, [found], events)) if found else []


def _patience(found: Sequence[Cause], report: Reporter) -> float:
    """How long the pod is waited for: longer while the cluster's autoscaler is adding a node for it."""
    slow = [cause for cause in found if 0 < cause.patience < math.inf]
    for cause in slow:
        report.note(f"waiting: {cause.summary}")
    return max((START, *(cause.patience for cause in slow)))


def _wait_until_resolved(run: RunCommand, base: str, report: Reporter) -> None:
    """Wait until the cluster's DNS resolves the name in `base`: for a new Service, or after a start, not at once."""
    curl = Command(("curl", "-q", "-s", "-o", "/dev/null", "--max-time", "5", base), timeout=20)
    for attempt in range(RESOLVE_ATTEMPTS):
        if run(curl, null_reporter(report.cancel)).exit_code not in {UNRESOLVED, TIMED_OUT}:
            return
        if attempt == 1:
            report.waiting_for(f"the cluster's DNS to resolve {base}")
        report.cancel.wait(1)
