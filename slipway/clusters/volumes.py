"""PersistentVolumes for claims where a Minikube has no provisioner: one folder of its node for each claim."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from slipway.config.models import Service
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change
from slipway.errors import Problem
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.labels import claim_name, labels, volume_name
from slipway.kubernetes.objects import Object

STORAGE_CLASS = "standard"  # the name that Minikube gives its own
NO_PROVISIONER = "kubernetes.io/no-provisioner"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
FOLDER = "/var/lib/slipway/volumes"  # on the node, in what a Minikube keeps while it is stopped


@dataclass(frozen=True)
class Volumes:
    """Whether the cluster provisions volumes by itself, and the names of those that it has."""

    provisioned: bool
    names: frozenset[str]


@dataclass(frozen=True)
class NodeVolumes:
    """The volumes of one project on the node of a Minikube, which is a container of `daemon`."""

    cluster: Client
    daemon: Daemon
    node: str
    project: str
    namespace: str

    def read(self) -> Volumes:
        """The volumes of the cluster, in two list calls."""
        classes = self.cluster.list("storage.k8s.io/v1", "StorageClass", None)
        provisioned = any(_is_default(one) and one["provisioner"] != NO_PROVISIONER for one in classes)
        volumes = self.cluster.list("v1", "PersistentVolume", None)
        return Volumes(provisioned, frozenset(one["metadata"]["name"] for one in volumes))

    def differs(self, facts: Volumes, services: Iterable[Service]) -> Change | None:
        """Why volumes must be made, or None."""
        if facts.provisioned:
            return None
        missing = [name for service in services for name in self._names(service) if name not in facts.names]
        return Change(f"the cluster provisions no volumes, and has none for {', '.join(missing)}") if missing else None

    def provide(self, services: Sequence[Service], report: Reporter) -> None:
        """Create the storage class and a volume for each claim, its folder writable for the service's user."""
        self.cluster.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": STORAGE_CLASS, "annotations": {DEFAULT_CLASS: "true"}},
                "provisioner": NO_PROVISIONER,
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )
        for service in services:
            for volume in self._volumes(service):
                path = volume["spec"]["hostPath"]["path"]
                self._on_node(report, "mkdir", "-p", path)
                self._on_node(
                    report, "chmod", "0777", path
                )  # for any user of any image, as Minikube's provisioner does
                self.cluster.apply(volume)
                report.note(f"volume {volume['metadata']['name']}: {path} on the node")

    def remove(self, claims: Iterable[Object], report: Reporter) -> None:
        """Delete the volumes of these claims with their data, if Slipway created them."""
        deleted = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in claims}
        for volume in self.cluster.list("v1", "PersistentVolume", None) if deleted else ():
            spec = volume["spec"]
            path = spec.get("hostPath", {}).get("path", "")
            claim = spec.get("claimRef", {})
            if (claim.get("namespace"), claim.get("name")) in deleted and path.startswith(f"{FOLDER}/"):
                self.cluster.delete(volume)
                self._on_node(report, "rm", "-rf", path)
                report.note(f"volume {volume['metadata']['name']} removed")

    def _names(self, service: Service) -> Iterator[str]:
        return (one["metadata"]["name"] for one in self._volumes(service))

    def _volumes(self, service: Service) -> Iterator[Object]:
        for name, part in service.storage.items():
            claim = claim_name(service.name, name)
            spec = {
                "storageClassName": STORAGE_CLASS,
                "capacity": {"storage": part.size},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": self.namespace, "name": claim},
                "hostPath": {"path": f"{FOLDER}/{self.namespace}/{claim}", "type": "Directory"},
            }
            meta = {"name": volume_name(self.namespace, claim), "labels": labels(self.project, service.name)}
            yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec}

    def _on_node(self, report: Reporter, *command: str) -> None:
        code, output = self.daemon.io.execute(self.node, command, report)
        if code:
            summary = f"`{' '.join(command)}` failed on the cluster's node"
            raise Problem(summary, details=output, hint="minikube ssh -- df -h")


def _is_default(storage_class: Object) -> bool:
    return bool(storage_class["metadata"].get("annotations", {}).get(DEFAULT_CLASS) == "true")
