"""A service's Deployment and pods: what is rolled out, waited for, and read the logs of."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.labels import selector
from slipway.kubernetes.objects import Object


@dataclass(frozen=True)
class Workload:
    """The Deployment of that name in a namespace, and its pods by their labels."""

    cluster: Client
    project: str
    namespace: str
    service: str

    @property
    def selector(self) -> str:
        """The label selector of its objects."""
        return selector(self.project, self.service)

    def pods(self) -> list[Object]:
        """Its pods, of all releases."""
        return self.cluster.list("v1", "Pod", self.namespace, self.selector)

    def log_path(self, pod: str) -> str:
        """The API path of a pod's log."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
