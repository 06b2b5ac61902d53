"""One project's namespace on a cluster, as its deployer and what goes with it share it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.release_store import State, StoredRelease, read
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Probe
from slipway.errors import Unreachable, UsageError, deploy_command
from slipway.kubernetes.lease import NamespaceLease
from slipway.kubernetes.manifests.labels import MANIFEST, RELEASE
from slipway.kubernetes.manifests.namespace import namespace
from slipway.kubernetes.objects import Object
from slipway.kubernetes.pods import settled_since

RESUMED = 120  # seconds that pods get to run again after their cluster was started


class ProvidedVolumes(Protocol):
    """PersistentVolumes that Slipway made, where a cluster makes none by itself."""

    def remove(self, claims: Iterable[Object], report: Reporter) -> None:
        """Remove those of these claims, and all that is in them."""


@dataclass(frozen=True)
class ProjectNamespace:
    """`state` reads one list per kind; every change ends with the cluster as the only truth.

    `volumes` are those that Slipway made, where it did.
    """

    scope: NamespaceScope
    state: Probe[State]
    volumes: ProvidedVolumes | None = None
    lease: NamespaceLease = field(init=False)

    def __post_init__(self) -> None:
        scope = self.scope
        lease = NamespaceLease(scope.cluster, scope.project, scope.namespace, scope.who, scope.checks.delete_left_over)
        object.__setattr__(self, "lease", lease)

    @cached_property
    def name(self) -> str:
        """The namespace's name."""
        return self.scope.namespace

    def read(self) -> State:
        """The namespace as it is now."""
        scope = self.scope
        return read(scope.cluster, scope.project, scope.namespace, nodes=self.volumes is not None)

    def create(self, report: Reporter) -> None:
        """Create the namespace."""
        self.scope.cluster.apply(namespace(self.scope.project, self.scope.namespace))
        report.note("no pod in it may have privileges: Pod Security `restricted` is enforced")

    def wait_until_resumed(self, since: str, report: Reporter) -> None:
        """Wait until the pods of a cluster that was started at `since` (RFC 3339) run anew, for `RESUMED` seconds.

        Until a node has looked at them again, the API tells of pods as they were before.
        """
        started = datetime.fromisoformat(since)
        for waited in range(RESUMED):
            pods = (one for one in self.read().objects if one["kind"] == "Pod")
            left = [pod["metadata"]["name"] for pod in pods if not settled_since(pod, started)]
            if not left:
                return
            report.progress(waited, RESUMED, "seconds")
            report.cancel.wait(1)
            report.cancel.check()
        report.note(f"not ready yet: {', '.join(left)}")

    def reachable(self) -> State:
        """The state of a cluster that runs. Raises Unreachable for one that does not: nothing is known of it."""
        state = self.state.facts()
        if state.down:
            raise Unreachable(state.down, commands=state.commands)
        return state

    def deployed(self, service: str) -> Object:
        """A service's Deployment. Raises UsageError where there is none."""
        found = self.reachable().find("Deployment", service)
        if found is None:
            raise UsageError(f"{service} is not deployed in {self.name}", commands=[deploy_command(service)])
        return found


def running(state: State, service: str) -> StoredRelease | None:
    """The release that the Deployment says it is, if it has a record."""
    deployment = state.find("Deployment", service) or {"metadata": {}}
    marks = deployment["metadata"].get("annotations", {})
    same = (k for k in state.releases(service) if str(k.release.number) == marks.get(RELEASE))
    return next((k for k in same if k.release.manifest == marks.get(MANIFEST)), None)
