"""The checks of a release begun at its first new pod that answers, beside the rollout.

A node asks its pods once a second whether they are ready, and the cluster hears of it some tenths later: by then most
checks have passed. They count once the rollout has ended well. Those that fail early count for nothing, nor do those of
a pod that can't be asked directly: then all are run behind the rollout.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Self

from slipway.config.models import Health, Service
from slipway.deployers.kubernetes.live_checks import urls
from slipway.deployers.kubernetes.namespace_scope import EarlyResult, NamespaceScope
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.threads import Threads
from slipway.errors import Cancelled, Problem
from slipway.kubernetes.endpoints import host_and_port
from slipway.kubernetes.first_pod import first_running_pod


def begin(scope: NamespaceScope, service: Service) -> AbstractContextManager[EarlyChecks | None]:
    """Begin them, where there is room for the pod that they are run from, and a path tells whether a pod is ready."""
    path = (service.health or Health()).readiness
    if isinstance(path, str) and service.checks and scope.checks.prepare():
        return EarlyChecks(scope, service, path)
    return nullcontext()


class EarlyChecks:
    """They begin when it is made, and end when it is left. `path` is where a pod tells whether it is ready."""

    def __init__(self, scope: NamespaceScope, service: Service, path: str) -> None:
        self._scope, self._service, self._path = scope, service, path
        self._cancel, self._answered = Cancel(), threading.Event()
        self._result = Threads(1).submit(self._run, null_reporter(self._cancel))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cancel.request()

    def passed(self) -> EarlyResult | None:
        """Those that passed, for who has seen the rollout end; None where one failed, or no pod has answered yet."""
        if self._answered.is_set():
            with suppress(Problem, Cancelled):
                found = self._result.result()
                return found if found.checks.ok else None
        return None

    def _run(self, report: Reporter) -> EarlyResult:
        service, workload = self._service, self._scope.workload(self._service.name)
        pod = first_running_pod(workload, report)
        at = host_and_port(pod["status"]["podIP"], service.port)
        with self._scope.checks.runner(workload, report) as checks:
            checks.wait_for_answer(at, self._path, report)
            self._answered.set()
            return checks.run_early(at, service.checks, urls(self._scope, service), report)
