"""The Secret of a service's `secrets`."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import metadata, secret_name
from slipway.kubernetes.objects import Object


def secret(project: str, namespace: str, service: Service, secrets: Mapping[str, str]) -> Object:
    """An immutable Secret: other values have another name, so that an earlier release keeps its own."""
    meta = metadata(project, namespace, service, secret_name(service, secrets))
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": dict(secrets), "immutable": True}
