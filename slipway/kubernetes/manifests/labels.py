"""Every label, annotation and name that Slipway gives to the objects of a cluster.

Earlier versions wrote them, and find by them what they deployed: none may change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from slipway.config.models import Service
from slipway.kubernetes.objects import Object
from slipway.secrets.fingerprint import fingerprint

# Labels. Those of Kubernetes: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
NAME, PART_OF, MANAGED_BY = "app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"
NAMESPACE = "slipway/namespace"  # of an own object at cluster scope or in another namespace: the project's there
ROLE = "slipway/role"  # of what belongs to no release's objects: "release", "generated", "probe", "dev", "intercept"
DEV = "slipway-dev"  # what manages the pod of a service under development: by it, no selector of a release matches

# Annotations of a Deployment
SOURCE, MANIFEST, RELEASE = "slipway/source", "slipway/manifest", "slipway/release"
SCALED = "slipway/scaled"  # "3 of 2": scaled to 3 by `scale`, while the service file said 2
# Annotation of a Secret
VALUES = "slipway/values"  # the fingerprint of its values
# Annotation of a Lease, and of the pod of a service under development
PROCESS = "slipway/process"  # which process it belongs to, for those on its machine
# Annotations of the pod of a service under development
PATCHED = "slipway/patched"  # the namespaces that were evaluated in it: "shop.core, shop.page"
WHO = "slipway/who"  # "me@machine (pid 4711)"

FIELD_MANAGER = "slipway"  # the owner, in server-side apply, of the fields that Slipway sets

# Names
LEASE = "slipway"
GENERATED = "slipway.generated"  # the Secret of a project's generated secrets
CHECK_POD = "slipway-probe"  # with a random suffix


def labels(project: str, service: str = "") -> dict[str, str]:
    """The labels of everything that Slipway makes for a project, and for one service of it."""
    return {MANAGED_BY: "slipway", PART_OF: project, **({NAME: service} if service else {})}


def dev_labels(project: str, service: str, *, intercept: bool) -> dict[str, str]:
    """The labels of a service's pod under development: a release's own, but for what manages it, and its role.

    A Service that selects by them sends all requests to the pod; there is one at a time that takes them.
    """
    return {**labels(project, service), MANAGED_BY: DEV, ROLE: "intercept" if intercept else "dev"}


def selector(project: str, service: str = "") -> str:
    """The same as a label selector, for a list call."""
    return ",".join(f"{key}={value}" for key, value in labels(project, service).items())


def metadata(project: str, namespace: str, service: Service, name: str = "") -> dict[str, Any]:
    """The metadata of a service's object; its name is the service's own, unless `name` is given."""
    return {"name": name or service.name, "namespace": namespace, "labels": labels(project, service.name)}


def config_map_name(service: Service) -> str:
    """The name of a service's ConfigMap. It follows the content: a ConfigMap is immutable, and releases share it."""
    digest = hashlib.sha256(json.dumps(service.env, sort_keys=True).encode()).hexdigest()
    return f"{service.name}-{digest[:10]}"


def secret_name(service: Service, secrets: Mapping[str, str]) -> str:
    """The name of a service's Secret, which follows the content as that of a ConfigMap does."""
    return f"{service.name}-{fingerprint(secrets)[:10]}"


def claim_name(service: str, storage: str) -> str:
    """The name of the PersistentVolumeClaim for one of a service's `storage` entries."""
    return f"{service}-{storage}"


def volume_name(namespace: str, claim: str) -> str:
    """The name of the PersistentVolume for a claim, where Slipway makes it: volumes belong to no namespace."""
    return f"{namespace}-{claim}"


def release_secret_name(service: str, number: int) -> str:
    """The name of the Secret that records a release."""
    return f"slipway.{service}.release.{number:04d}"


def values_fingerprint(secret: Object) -> str:
    """The fingerprint of a Secret's values: a digest and a comparison can use it without knowing them."""
    return fingerprint(secret.get("data", {}))[:10]
