"""All objects of a service, rendered from its service file; their digest, and what a release and a reader get."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.config.models import Service
from slipway.kubernetes.manifests.config_map import config_map
from slipway.kubernetes.manifests.deployment import AT_ONCE, ROLLING, deployment
from slipway.kubernetes.manifests.horizontal_pod_autoscaler import horizontal_pod_autoscaler
from slipway.kubernetes.manifests.labels import MANAGED_BY
from slipway.kubernetes.manifests.own import own_manifests
from slipway.kubernetes.manifests.persistent_volume_claim import persistent_volume_claim
from slipway.kubernetes.manifests.pod_disruption_budget import pod_disruption_budget
from slipway.kubernetes.manifests.secret import secret
from slipway.kubernetes.manifests.service import cluster_ip
from slipway.kubernetes.objects import Object

IMAGE = "IMAGE"  # stands for the image in what is digested: an image's identity is its source digest
_SECRET_VALUES = ("data", "stringData")


def render(project: str, namespace: str, service: Service, image: str, secrets: Mapping[str, str]) -> list[Object]:
    """A service's objects, in the order in which they are applied. `secrets` are values by name."""
    scale = service.autoscale
    return [
        *([config_map(project, namespace, service)] if service.env else []),
        *([secret(project, namespace, service, secrets)] if secrets else []),
        *(persistent_volume_claim(project, namespace, service, name) for name in service.storage),
        cluster_ip(project, namespace, service),
        pod_disruption_budget(project, namespace, service),
        deployment(project, namespace, service, image, secrets),
        *([horizontal_pod_autoscaler(project, namespace, service, scale)] if scale else []),
        *own_manifests(project, namespace, service),
    ]


def digest(objects: Sequence[Object], checks: Sequence[Mapping[str, Any]]) -> str:
    """The digest of a release's objects, and of the checks that it must pass. Values of secrets are not in it.

    The name of a Secret, or its annotation, changes with its values, so that the digest does too.
    """
    text = json.dumps([[without_secret_values(one) for one in objects], list(checks)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_secret_values(one: Object) -> Object:
    """The object; a Secret has neither keys nor values."""
    return {key: value for key, value in one.items() if one["kind"] != "Secret" or key not in _SECRET_VALUES}


def redacted(objects: Sequence[Object]) -> list[Object]:
    """The objects, to be shown: a Secret has its keys, and *** for their values."""
    return [
        {k: dict.fromkeys(v, "***") if k in _SECRET_VALUES and one["kind"] == "Secret" else v for k, v in one.items()}
        for one in objects
    ]


def for_release(objects: Sequence[Object], image: str, annotations: Mapping[str, str]) -> list[Object]:
    """The objects of one release: its image in place of IMAGE in every pod template, annotations on the Deployment.

    Its new pods start at once. How a release is rolled out is not in its digest: what runs is the same.
    """
    found: list[dict[str, Any]] = json.loads(json.dumps(list(objects)))
    for one in found:
        if one["kind"] == "Deployment" and MANAGED_BY in one["metadata"].get("labels", {}):
            one["metadata"].setdefault("annotations", {}).update(annotations)
            strategy = one["spec"].get("strategy", {})
            if strategy.get("rollingUpdate") == ROLLING:
                strategy["rollingUpdate"] = dict(AT_ONCE)
        for holder, field in _images(one):
            if holder.get(field) == IMAGE:
                holder[field] = image
    return [*found]


def _images(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Where the pod templates in an object name images, wherever its kind has them: a CronJob, a custom workload.

    Those are the fields `image` of containers and `image.reference` of volumes.
    """
    if isinstance(value, list):
        for one in value:
            yield from _images(one)
    elif isinstance(value, dict):
        for key, inner in value.items():
            parts = [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []
            if key in {"containers", "initContainers"}:
                yield from ((one, "image") for one in parts)
            elif key == "volumes":
                yield from ((one["image"], "reference") for one in parts if isinstance(one.get("image"), dict))
            else:
                yield from _images(inner)
