"""Volumes for claims where a Minikube has no provisioner: folders on its node, one for each claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from slipway.config.models import Service
from slipway.docker.protocols import Daemon
from slipway.engine.steps import Change, Reporter
from slipway.errors import Problem
from slipway.kubernetes.client import Cluster
from slipway.kubernetes.manifests.labels import claim_name, labels, volume_name
from slipway.kubernetes.objects import Object

CLASS, NOBODY = "standard", "kubernetes.io/no-provisioner"  # the class has the name that Minikube gives its own
DEFAULT = "storageclass.kubernetes.io/is-default-class"
FOLDER = "/var/lib/slipway/volumes"  # of the node: on what a Minikube keeps when it is stopped


@dataclass(frozen=True)
class Volumes:
    """Whether the cluster makes volumes by itself, and the names of those that it has."""

    provisioned: bool
    there: frozenset[str]


@dataclass(frozen=True)
class NodeVolumes:
    """The volumes of one project on the node of a Minikube, which is a container of `daemon`."""

    cluster: Cluster
    daemon: Daemon
    node: str
    project: str
    namespace: str

    def read(self) -> Volumes:
        """What there is, in two questions."""
        classes = self.cluster.list("storage.k8s.io/v1", "StorageClass", None)
        made = any(_default(one) and one["provisioner"] != NOBODY for one in classes)
        there = self.cluster.list("v1", "PersistentVolume", None)
        return Volumes(made, frozenset(one["metadata"]["name"] for one in there))

    def differs(self, facts: Volumes, services: Iterable[Service]) -> Change | None:
        """Why volumes must be made, or None."""
        if facts.provisioned:
            return None
        missing = [name for service in services for name in self._names(service) if name not in facts.there]
        return Change(f"the cluster makes no volumes, and has none for {', '.join(missing)}") if missing else None

    def provide(self, services: Sequence[Service], report: Reporter) -> None:
        """Make the class and a volume for each claim, its folder writable for the service's user."""
        self.cluster.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": CLASS, "annotations": {DEFAULT: "true"}},
                "provisioner": NOBODY,
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )
        for service in services:
            for volume in self._volumes(service):
                path = volume["spec"]["hostPath"]["path"]
                self._on_node(report, "mkdir", "-p", path)
                self._on_node(
                    report, "chmod", "0777", path
                )  # any user of any image: what Minikube's provisioner does too
                self.cluster.apply(volume)
                report.note(f"volume {volume['metadata']['name']}: {path} on the node")

    def remove(self, claims: Iterable[Object], report: Reporter) -> None:
        """Remove the volumes of these claims and all that is in them, if they were made here."""
        gone = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in claims}
        for volume in self.cluster.list("v1", "PersistentVolume", None) if gone else ():
            spec = volume["spec"]
            path = spec.get("hostPath", {}).get("path", "")
            claim = spec.get("claimRef", {})
            if (claim.get("namespace"), claim.get("name")) in gone and path.startswith(f"{FOLDER}/"):
                self.cluster.delete(volume)
                self._on_node(report, "rm", "-rf", path)
                report.note(f"volume {volume['metadata']['name']} removed")

    def _names(self, service: Service) -> Iterator[str]:
        return (one["metadata"]["name"] for one in self._volumes(service))

    def _volumes(self, service: Service) -> Iterator[Object]:
        for name, part in service.storage.items():
            claim = claim_name(service.name, name)
            spec = {
                "storageClassName": CLASS,
                "capacity": {"storage": part.size},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": self.namespace, "name": claim},
                "hostPath": {"path": f"{FOLDER}/{self.namespace}/{claim}", "type": "Directory"},
            }
            meta = {"name": volume_name(self.namespace, claim), "labels": labels(self.project, service.name)}
            yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec}

    def _on_node(self, report: Reporter, *words: str) -> None:
        code, said = self.daemon.execute(self.node, words, report)
        if code:
            raise Problem(
                f"`{' '.join(words)}` failed on the cluster's node", details=said, hint="minikube ssh -- df -h"
            )


def _default(one: Object) -> bool:
    return bool(one["metadata"].get("annotations", {}).get(DEFAULT) == "true")
