"""What a service is on a cluster: its objects, rendered from the service file. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway.config.manifests import documents
from slipway.config.models import Service
from slipway.secrets.sources import fingerprint

NAME, PART, BY = "app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"
SOURCE, MANIFEST, RELEASE, ROLE = "slipway/source", "slipway/manifest", "slipway/release", "slipway/role"
VALUES = "slipway/values"  # of a Secret: the fingerprint of its values
SCALED = "slipway/scaled"  # "3 of 2": scaled by hand to 3 when the file said 2
IMAGE = "IMAGE"  # stands for the image in what is digested: its identity is the source digest
DRAIN = 5  # seconds that a pod goes on answering while others learn that it ends
GROUP = 10001  # may write to a service's volumes, whatever user its image has
Object = dict[str, Any]


def labels(project: str, service: str = "") -> dict[str, str]:
    """The labels of everything that Slipway makes for a project, and for one service of it."""
    return {BY: "slipway", PART: project, **({NAME: service} if service else {})}


def selector(project: str, service: str = "") -> str:
    """The same as a label selector."""
    return ",".join(f"{key}={value}" for key, value in labels(project, service).items())


def namespace(project: str, name: str) -> Object:
    """A namespace that enforces the Pod Security Standard `restricted`."""
    enforce = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**labels(project), **enforce}},
    }


def render(project: str, namespace: str, service: Service, image: str, secrets: Mapping[str, str]) -> list[Object]:
    """A service's objects, in the order in which they are applied."""
    config, secret = _config(project, namespace, service), _secret(project, namespace, service, secrets)
    found = [
        *([config] if service.env else []),
        *([secret] if secrets else []),
        *(_claim(project, namespace, service, name) for name in service.storage),
        _service(project, namespace, service),
        _budget(project, namespace, service),
        _deployment(project, namespace, service, image, [config] if service.env else [], [secret] if secrets else []),
        *([_autoscaler(project, namespace, service)] if service.autoscale else []),
    ]
    return [*found, *own(project, namespace, service)]


def own(project: str, namespace: str, service: Service) -> list[Object]:
    """The service's own manifests/*.yaml, labelled as its own and put into its namespace."""
    found = []
    for document in documents(service.folder) if service.folder != Path() else ():
        meta = document["metadata"]
        meta["namespace"] = namespace
        meta["labels"] = {**meta.get("labels", {}), **labels(project, service.name)}
        if document["kind"] == "Secret":
            document["data"] = _encoded(document)
            document.pop("stringData", None)  # of which server-side apply takes no key away
            meta["annotations"] = {**meta.get("annotations", {}), VALUES: valued(document)}
        found.append(document)
    return found


def _encoded(secret: Object) -> dict[str, str]:
    data = {key: "".join(value.split()) for key, value in secret.get("data", {}).items()}
    texts = secret.get("stringData", {}).items()
    return {**data, **{key: base64.b64encode(value.encode()).decode() for key, value in texts}}


def valued(secret: Object) -> str:
    """The fingerprint of a Secret's values, by which its digest and its drift are told without them."""
    return fingerprint(secret.get("data", {}))[:10]


def hidden(objects: Sequence[Object]) -> list[Object]:
    """The objects without the value of any secret, to be shown."""
    parts = ("data", "stringData")
    return [
        {k: dict.fromkeys(v, "***") if k in parts and one["kind"] == "Secret" else v for k, v in one.items()}
        for one in objects
    ]


def digest(objects: Sequence[Object], checks: Sequence[Mapping[str, Any]]) -> str:
    """The digest of what a release is made of, the image apart, and of the checks that it must pass; no secrets."""
    plain = [
        {k: v for k, v in one.items() if k not in {"stringData", "data"} or one["kind"] != "Secret"} for one in objects
    ]
    text = json.dumps([plain, list(checks)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def marked(objects: Sequence[Object], image: str, marks: Mapping[str, str]) -> list[Object]:
    """The objects of one release: its image in place, and its marks on the Deployment."""
    found: list[Object] = json.loads(json.dumps(list(objects)))
    for one in found:
        if one["kind"] == "Deployment" and BY in one["metadata"].get("labels", {}):
            one["metadata"].setdefault("annotations", {}).update(marks)
            for container in one["spec"]["template"]["spec"]["containers"]:
                container["image"] = image if container["image"] == IMAGE else container["image"]
    return found


def _meta(project: str, namespace: str, service: Service, name: str = "") -> Object:
    return {"name": name or service.name, "namespace": namespace, "labels": labels(project, service.name)}


def _config(project: str, namespace: str, service: Service) -> Object:
    key = hashlib.sha256(json.dumps(service.env, sort_keys=True).encode()).hexdigest()[:10]
    meta = _meta(project, namespace, service, f"{service.name}-{key}")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(service.env), "immutable": True}


def _secret(project: str, namespace: str, service: Service, secrets: Mapping[str, str]) -> Object:
    meta = _meta(project, namespace, service, f"{service.name}-{fingerprint(secrets)[:10]}")
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": dict(secrets), "immutable": True}


def _claim(project: str, namespace: str, service: Service, name: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": service.storage[name].size}}}
    meta = _meta(project, namespace, service, f"{service.name}-{name}")
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def _service(project: str, namespace: str, service: Service) -> Object:
    spec = {
        "type": "ClusterIP",
        "selector": labels(project, service.name),
        "ports": [{"name": "main", "port": service.port, "targetPort": "main", "protocol": "TCP"}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(project, namespace, service), "spec": spec}


def _budget(project: str, namespace: str, service: Service) -> Object:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(project, service.name)}}
    meta = _meta(project, namespace, service)
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}


def _autoscaler(project: str, namespace: str, service: Service) -> Object:
    scale = service.autoscale
    assert scale  # noqa: S101  asked only where it is there
    target = {"type": "Utilization", "averageUtilization": scale.cpu}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
        "minReplicas": service.replicas,
        "maxReplicas": scale.max,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }
    meta = _meta(project, namespace, service)
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}


def _deployment(
    project: str, namespace: str, service: Service, image: str, configs: list[Object], secrets: list[Object]
) -> Object:
    volumes = [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  the container's own
    for name, part in service.storage.items():
        claim = {"claimName": f"{service.name}-{name}"}
        volumes.append({"name": name, "persistentVolumeClaim": claim})
        mounts.append({"name": name, "mountPath": part.path})
    container = {
        "name": service.name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "envFrom": [
            *({"configMapRef": {"name": one["metadata"]["name"]}} for one in configs),
            *({"secretRef": {"name": one["metadata"]["name"]}} for one in secrets),
        ],
        "ports": [{"name": "main", "containerPort": service.port, "protocol": "TCP"}],
        "resources": {
            "requests": {"cpu": service.resources.cpu, "memory": service.resources.memory},
            "limits": {"memory": service.resources.memory},
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
        **_probes(service),
    }
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **({"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"} if service.storage else {}),
        },
        "containers": [container],
        "volumes": volumes,
    }
    spec = {
        **({} if service.autoscale else {"replicas": service.replicas}),
        "progressDeadlineSeconds": 120,
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": labels(project, service.name)},
        "strategy": {"type": "Recreate"} if service.storage else rolling,
        "template": {"metadata": {"labels": labels(project, service.name)}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _meta(project, namespace, service), "spec": spec}


def _probes(service: Service) -> Object:
    health = service.health
    if health is None:
        asked: Object = {"tcpSocket": {"port": "main"}}
        return {"startupProbe": {**asked, "periodSeconds": 1, "failureThreshold": 60}, "readinessProbe": asked}
    if health.exec:
        asked = {"exec": {"command": list(health.exec)}}
        ready = live = asked
    else:
        ready = {"httpGet": {"path": health.ready or health.live or "/", "port": "main"}}
        live = {"httpGet": {"path": health.live or health.ready or "/", "port": "main"}}
    return {
        "startupProbe": {**live, "periodSeconds": 1, "failureThreshold": 60, "timeoutSeconds": 2},
        "readinessProbe": {**ready, "periodSeconds": 2, "failureThreshold": 3, "timeoutSeconds": 2},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 3},
    }
