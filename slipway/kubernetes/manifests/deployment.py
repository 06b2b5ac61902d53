"""The Deployment of a service: restricted pods with limits and probes, replaced without a gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.config.models import Service
from slipway.kubernetes.manifests.container import RESTRICTED
from slipway.kubernetes.manifests.labels import claim_name, config_map_name, labels, metadata, secret_name
from slipway.kubernetes.objects import Object

DRAIN = 5  # seconds that a pod goes on answering while endpoints and proxies learn that it is terminating
START = 60  # seconds that a pod gets to start, unless its service has `start_within`
PRIVILEGED = 1024  # below it, only root may listen, unless the kernel is told otherwise: Docker always does
UNPRIVILEGED_PORTS = "net.ipv4.ip_unprivileged_port_start"  # of the sysctls that Pod Security `restricted` allows
ROLLING = {"maxUnavailable": 0, "maxSurge": 1}
AT_ONCE = {**ROLLING, "maxSurge": "100%"}  # of a release: as many new pods as it has copies, where there is room
GROUP = 10001  # fsGroup: may write to a service's volumes, whatever user its image has


def deployment(project: str, namespace: str, service: Service, image: str, secrets: Mapping[str, str]) -> Object:
    """A Deployment of `image`. One with storage is recreated: two pods of two releases never share a volume."""
    spec = {
        **({} if service.autoscale else {"replicas": service.replicas}),
        "progressDeadlineSeconds": max(120, (service.start_seconds or 0) + 60),
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": labels(project, service.name)},
        "strategy": {"type": "Recreate"} if service.storage else {"type": "RollingUpdate", "rollingUpdate": ROLLING},
        "template": {"metadata": {"labels": labels(project, service.name)}, "spec": _pod(service, image, secrets)},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(project, namespace, service),
        "spec": spec,
    }


def _pod(service: Service, image: str, secrets: Mapping[str, str]) -> Object:
    claims = ((name, {"claimName": claim_name(service.name, name)}) for name in service.storage)
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **({"sysctls": [{"name": UNPRIVILEGED_PORTS, "value": "0"}]} if service.port < PRIVILEGED else {}),
            **({"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"} if service.storage else {}),
        },
        "containers": [_container(service, image, secrets)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            *({"name": name, "persistentVolumeClaim": claim} for name, claim in claims),
        ],
    }


def _container(service: Service, image: str, secrets: Mapping[str, str]) -> Object:
    return {
        "name": service.name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [
            *([{"configMapRef": {"name": config_map_name(service)}}] if service.env else []),
            *([{"secretRef": {"name": secret_name(service, secrets)}}] if secrets else []),
        ],
        "ports": [{"name": "main", "containerPort": service.port, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": service.resources.cpu, "memory": service.resources.memory},
            "limits": {
                "memory": service.resources.memory_limit,
                **({"cpu": service.resources.limits.cpu} if service.resources.limits.cpu else {}),
            },
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN}}},
        "securityContext": dict(RESTRICTED),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  the container's own
            *({"name": name, "mountPath": storage.path} for name, storage in service.storage.items()),
        ],
        **_probes(service),
    }


def _probes(service: Service) -> Object:
    health, attempts = service.health, service.start_seconds or START
    if health is None:
        connect: dict[str, Any] = {"tcpSocket": {"port": "main"}}
        return {
            "startupProbe": {**connect, "periodSeconds": 1, "failureThreshold": attempts},
            "readinessProbe": connect,
        }
    if health.exec:
        ready: dict[str, Any] = {"exec": {"command": list(health.exec)}}
        live = ready
    else:
        ready = {"httpGet": {"path": health.ready or health.live or "/", "port": "main"}}
        live = {"httpGet": {"path": health.live or health.ready or "/", "port": "main"}}
    return {
        "startupProbe": {**live, "periodSeconds": 1, "failureThreshold": attempts, "timeoutSeconds": 2},
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 3, "timeoutSeconds": 2},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 3},
    }
