"""The Service under which other pods reach a service."""

from __future__ import annotations

from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import labels, metadata
from slipway.kubernetes.objects import Object


def cluster_ip(project: str, namespace: str, service: Service) -> Object:
    """A Service of type ClusterIP: reached from inside the cluster only."""
    spec = {
        "type": "ClusterIP",
        "selector": labels(project, service.name),
        "ports": [{"name": "main", "port": service.port, "targetPort": "main", "protocol": "TCP"}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(project, namespace, service), "spec": spec}
