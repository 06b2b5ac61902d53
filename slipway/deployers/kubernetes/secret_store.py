"""Generated secrets of a project in one Secret of its namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State, generated
from slipway.engine.reporter import Reporter
from slipway.errors import NextCommand, UsageError


class KubernetesSecretStore:
    """The `SecretStore` of one namespace."""

    def __init__(self, namespace: ProjectNamespace) -> None:
        self._namespace = namespace

    def read(self, state: Callable[[], State]) -> dict[str, str]:
        """What is stored."""
        return state().generated

    def store(self, values: Mapping[str, str], report: Reporter) -> str:
        """Store values; what another deploy has stored by now stays as it is.

        Raises UsageError where nothing was ever deployed: a deploy makes what they are stored in.
        """
        scope, state = self._namespace.scope, self._namespace.state.facts()
        if state.down or not state.namespace:
            reason = state.down or f"there is no namespace {scope.namespace}"
            summary = f"nothing is deployed yet, and generated secrets are stored with what is deployed: {reason}"
            raise UsageError(summary, commands=[NextCommand("deploy")])
        with self._namespace.lease.held(report):
            values = {**values, **self._namespace.read().generated}
            scope.cluster.apply(generated(scope.project, scope.namespace, values), force=True)
        return f"stored in Secret slipway.generated of namespace {scope.namespace}"
