"""A kind of cluster: what Slipway asks of it and does with it. One file per kind implements this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from slipway.clusters.lifecycle import Lifecycle
from slipway.clusters.registry import Registry
from slipway.clusters.volumes import NodeVolumes
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.protocols import Daemon
from slipway.engine.steps import AnyNode
from slipway.errors import Unreachable
from slipway.kubernetes.client import Client


class Cluster(Protocol):
    """One cluster that services are deployed to."""

    @property
    def client(self) -> Client:
        """The client of its API."""

    @property
    def lifecycle(self) -> Lifecycle:
        """Its life, where it is ours."""

    @property
    def volumes(self) -> NodeVolumes | None:
        """The volumes that Slipway makes, where it makes none by itself."""

    @property
    def installs_metrics(self) -> bool:
        """Whether Slipway installs the metrics that autoscaling reads."""

    def tools(self) -> Iterator[AnyNode]:
        """What its machine needs before it can run."""

    def verify(self, state: State) -> None:
        """Raise Problem where it can't be used as it is, or can't be started. Pure."""

    def platforms(self) -> set[str] | None:
        """The Docker platforms of its nodes (linux/amd64); None where they are this machine's, or nobody may ask."""

    def registry(self, source: Daemon) -> Registry:
        """How an image of `source` becomes one that its nodes can pull. Raises UsageError where there is no way."""


def state_of(namespace: ProjectNamespace, lifecycle: Lifecycle) -> State:
    """A namespace as it is now, or why a cluster of ours does not answer. Raises Unreachable where nobody knows."""
    try:
        return namespace.read()
    except Unreachable:
        outage = lifecycle.outage()
        if outage is None:
            raise
        return State(down=outage.reason, commands=outage.commands)
