"""The PodDisruptionBudget of a service."""

from __future__ import annotations

from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import labels, metadata
from slipway.kubernetes.objects import Object


def pod_disruption_budget(project: str, namespace: str, service: Service) -> Object:
    """A budget that lets a node be drained, one replica at a time."""
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(project, service.name)}}
    meta = metadata(project, namespace, service)
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}
