"""A restricted pod from which services' checks are run, by their names in the cluster; it lives as long as a run."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from slipway.checks.runner import RunCommand
from slipway.deployers.kubernetes.pod_check_runner import PodCheckRunner
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.threads import Threads
from slipway.errors import ApiRefused, Cancelled, Problem
from slipway.hosts.host import Command, Result
from slipway.kubernetes.client import Client
from slipway.kubernetes.diagnose import EXCEEDED_QUOTA, QUOTA_PATIENCE
from slipway.kubernetes.manifests.container import small_container
from slipway.kubernetes.manifests.labels import CHECK_POD, ROLE, labels, selector
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pod_wait import runs, wait_for_pod
from slipway.kubernetes.pods import is_ending
from slipway.kubernetes.rights import unless_refused
from slipway.kubernetes.workload import Workload

CONTAINER = "curl"  # others may be injected beside it
PATIENCE = 1  # seconds after which it is told what is waited for
LIFETIME = 600  # seconds after which the cluster ends the pod by itself


def pod(project: str, namespace: str, image: str, name: str) -> Object:
    """A pod with curl, no privileges and a deadline."""
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFETIME,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [small_container(CONTAINER, image, ["sleep", str(LIFETIME)])],
    }
    meta = {"name": name, "namespace": namespace, "labels": {**labels(project), ROLE: "probe"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


class CheckPods:
    """The pods of one run that checks are run from: `ClusterChecks`.

    One serves all services of the run, and is made while the first is rolled out. Where a quota of the namespace counts
    pods, it would take the room of those that are rolled out: then each service has its own, afterwards.

    `run` runs kubectl; `image` brings the pod's image to the cluster and returns its reference.
    """

    def __init__(
        self, cluster: Client, project: str, namespace: str, run: RunCommand, image: Callable[[Reporter], str]
    ) -> None:
        self._cluster, self._project, self._namespace = cluster, project, namespace
        self._run, self._image = run, image
        self._lock, self._cancel = threading.Lock(), Cancel()
        self._token = secrets.token_hex(4)
        self._kept: Future[str] | None = None
        self._since = 0.0
        self._prepared: list[Future[str]] = []

    def prepare(self) -> bool:
        """Begin to create the pod that is kept, and return at once; False where it would take room of a quota.

        Whoever needs the pod hears why there is none.
        """
        with self._lock:
            if self._kept is None and not self._is_counted():
                self._since = time.monotonic()
                self._kept = Threads(1).submit(self._created, null_reporter(self._cancel))
                self._prepared.append(self._kept)
            return self._kept is not None

    @contextmanager
    def runner(self, workload: Workload, report: Reporter) -> Iterator[PodCheckRunner]:
        """What runs the checks of a workload, from the kept pod or one of its own.

        Raises Problem when the pod does not start.
        """
        if name := self._running(report):
            yield self._runner(name, workload)
            return
        name = self._created(report)
        try:
            yield self._runner(name, workload)
        finally:
            self._delete(name)

    def delete_left_over(self) -> None:
        """Delete the pods of runs that were killed."""
        for one in self._cluster.list("v1", "Pod", self._namespace, f"{selector(self._project)},{ROLE}=probe"):
            if self._token not in one["metadata"]["name"]:
                self._cluster.delete(one, grace=0)

    def close(self) -> None:
        """Delete what was prepared, and make none any more."""
        self._cancel.request()
        for prepared in self._prepared:
            with suppress(Problem, Cancelled):
                self._delete(prepared.result())

    def _is_counted(self) -> bool:
        """Whether a quota counts the namespace's pods, or nobody may know."""
        quotas = unless_refused(partial(self._cluster.list, "v1", "ResourceQuota", self._namespace), None)
        return quotas is None or bool(quotas)

    def _running(self, report: Reporter) -> str:
        """The kept pod, if it still runs for long enough; empty where there is none, and the next is prepared anew.

        One that others may still use stays until the end.
        """
        with self._lock:
            kept, since = self._kept, self._since
        if kept is None:
            return ""
        if not wait((kept,), PATIENCE).done:
            report.waiting_for("the pod that runs the checks")
        while not wait((kept,), PATIENCE).done:
            report.cancel.check()
        with suppress(Problem):
            name = kept.result()
            if time.monotonic() - since < LIFETIME / 2 and _is_running(self._cluster, self._namespace, name):
                return name
        with self._lock:
            if self._kept is kept:
                self._kept = None
        return ""

    def _created(self, report: Reporter) -> str:
        """The name of a pod that runs."""
        name = f"{CHECK_POD}-{self._token}-{secrets.token_hex(2)}"
        created = pod(self._project, self._namespace, self._image(report), name)
        try:
            _create(self._cluster, created, report)
            itself = Workload(self._cluster, self._project, self._namespace, CONTAINER)
            wait_for_pod(itself, name, runs, report, "the pod that runs the checks")
        except BaseException:
            self._delete(name)
            raise
        return name

    def _runner(self, name: str, workload: Workload) -> PodCheckRunner:
        words = ("--namespace", self._namespace, "exec", "-i", "-c", CONTAINER, name, "--")
        return PodCheckRunner(partial(_run_with_prefix, self._run, self._cluster.context.kubectl(*words)), workload)

    def _delete(self, name: str) -> None:
        with suppress(Problem):
            self._cluster.delete(pod(self._project, self._namespace, "", name), grace=0)


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


def _is_running(cluster: Client, namespace: str, name: str) -> bool:
    found = cluster.get("v1", "Pod", name, namespace)
    return found is not None and runs(found) and not is_ending(found)
