"""The ConfigMap of a service's `env`."""

from __future__ import annotations

from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import config_map_name, metadata
from slipway.kubernetes.objects import Object


def config_map(project: str, namespace: str, service: Service) -> Object:
    """An immutable ConfigMap: other variables have another name, so that an earlier release keeps its own."""
    meta = metadata(project, namespace, service, config_map_name(service))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(service.env), "immutable": True}
