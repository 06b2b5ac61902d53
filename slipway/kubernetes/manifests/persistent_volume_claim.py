"""The PersistentVolumeClaim of one of a service's `storage` entries."""

from __future__ import annotations

from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import claim_name, metadata
from slipway.kubernetes.objects import Object


def persistent_volume_claim(project: str, namespace: str, service: Service, storage: str) -> Object:
    """A claim of the default storage class, mounted by one node at a time."""
    size = service.storage[storage].size
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    meta = metadata(project, namespace, service, claim_name(service.name, storage))
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}
