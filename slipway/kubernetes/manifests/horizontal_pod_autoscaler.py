"""The HorizontalPodAutoscaler of a service that has `autoscale`."""

from __future__ import annotations

from slipway.config.models import Autoscale, Service
from slipway.kubernetes.manifests.labels import metadata
from slipway.kubernetes.objects import Object


def horizontal_pod_autoscaler(project: str, namespace: str, service: Service, autoscale: Autoscale) -> Object:
    """An autoscaler by CPU utilization, from the service's `replicas` up to `autoscale.max`."""
    target = {"type": "Utilization", "averageUtilization": autoscale.cpu}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
        "minReplicas": service.replicas,
        "maxReplicas": autoscale.max,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }
    meta = metadata(project, namespace, service)
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}
