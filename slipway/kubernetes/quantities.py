"""Where the API's schema has quantities, and which of them are the same there however they are written. Pure.

The fields are those of type resource.Quantity in k8s.io/api; everywhere else a text is a text, also one like `0.10`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_UP, Decimal, localcontext
from functools import cache

from slipway.config.quantity import parse_quantity
from slipway.kubernetes.objects import Object

Keys = tuple[int | str, ...]  # the path to a value: keys of mappings, indexes of lists

MILLI, NANO = Decimal("1e-3"), Decimal("1e-9")
LARGEST = Decimal(2**63 - 1)  # to which the API server lowers a size in powers of two

# `*` is any key or index. A ResourceList is rounded up to thousandths (SetDefaults_ResourceList in pkg/apis/core/v1 of
# Kubernetes); all others to nanos, which is every quantity's precision.
_POD_LISTS = (
    "resources.limits.*",
    "resources.requests.*",
    "overhead.*",
    "containers.*.resources.limits.*",
    "containers.*.resources.requests.*",
    "initContainers.*.resources.limits.*",
    "initContainers.*.resources.requests.*",
    "volumes.*.ephemeral.volumeClaimTemplate.spec.resources.limits.*",
    "volumes.*.ephemeral.volumeClaimTemplate.spec.resources.requests.*",
)
_POD_OTHERS = (
    "containers.*.env.*.valueFrom.resourceFieldRef.divisor",
    "initContainers.*.env.*.valueFrom.resourceFieldRef.divisor",
    "volumes.*.emptyDir.sizeLimit",
    "volumes.*.downwardAPI.items.*.resourceFieldRef.divisor",
    "volumes.*.projected.sources.*.downwardAPI.items.*.resourceFieldRef.divisor",
)
_CLAIM_LISTS = ("resources.limits.*", "resources.requests.*")
_POD_SPECS = {  # where a kind has the spec of a pod
    ("", "Pod"): "spec",
    ("", "PodTemplate"): "template.spec",
    ("", "ReplicationController"): "spec.template.spec",
    ("apps", "DaemonSet"): "spec.template.spec",
    ("apps", "Deployment"): "spec.template.spec",
    ("apps", "ReplicaSet"): "spec.template.spec",
    ("apps", "StatefulSet"): "spec.template.spec",
    ("batch", "CronJob"): "spec.jobTemplate.spec.template.spec",
    ("batch", "Job"): "spec.template.spec",
}
_CLAIM_SPECS = {
    ("", "PersistentVolumeClaim"): "spec",
    ("apps", "StatefulSet"): "spec.volumeClaimTemplates.*.spec",
}
_LISTS = {
    ("", "LimitRange"): tuple(
        f"spec.limits.*.{limit}.*" for limit in ("default", "defaultRequest", "max", "maxLimitRequestRatio", "min")
    ),
    ("", "PersistentVolume"): ("spec.capacity.*",),
    ("", "ResourceQuota"): ("spec.hard.*", "status.hard.*", "status.used.*"),
    ("node.k8s.io", "RuntimeClass"): ("overhead.podFixed.*",),
}
_OTHERS = {
    ("autoscaling", "HorizontalPodAutoscaler"): (
        "spec.metrics.*.*.target.averageValue",
        "spec.metrics.*.*.target.value",
        "spec.behavior.*.tolerance",
    ),
    ("storage.k8s.io", "CSIStorageCapacity"): ("capacity", "maximumVolumeSize"),
}


def same_quantity(one: Object, keys: Keys, wanted: object, live: object) -> bool:
    """Whether an object has a quantity at `keys`, and the API server stores both of these as the same."""
    precision = _precision(one, keys)
    first, second = _stored(wanted, precision), _stored(live, precision)
    return first is not None and first == second


def _stored(value: object, precision: Decimal | None) -> Decimal | None:
    """The number that the API server stores for a quantity; None for what is none."""
    if precision is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    number = parse_quantity(value)
    if number is None:
        return None
    with localcontext(prec=60):  # more digits than any quantity has
        rounded = number.quantize(precision, rounding=ROUND_UP)
    return min(rounded, LARGEST) if str(value).endswith("i") else rounded


def _precision(one: Object, keys: Keys) -> Decimal | None:
    """How exactly the API server stores the quantity at `keys`; None where its schema has none."""
    kind = (one["apiVersion"].rpartition("/")[0], one["kind"])
    return next((precision for pattern, precision in _patterns(kind) if matches(pattern, keys)), None)


@cache
def _patterns(kind: tuple[str, str]) -> tuple[tuple[tuple[str, ...], Decimal], ...]:
    return tuple((tuple(path.split(".")), precision) for path, precision in _paths(kind))


def _paths(kind: tuple[str, str]) -> Iterator[tuple[str, Decimal]]:
    if spec := _POD_SPECS.get(kind):
        yield from ((f"{spec}.{path}", MILLI) for path in _POD_LISTS)
        yield from ((f"{spec}.{path}", NANO) for path in _POD_OTHERS)
    if spec := _CLAIM_SPECS.get(kind):
        yield from ((f"{spec}.{path}", MILLI) for path in _CLAIM_LISTS)
    yield from ((path, MILLI) for path in _LISTS.get(kind, ()))
    yield from ((path, NANO) for path in _OTHERS.get(kind, ()))


def matches(pattern: tuple[str, ...], keys: Keys) -> bool:
    """Whether a path is one of a pattern, in which `*` is any key or index."""
    return len(pattern) == len(keys) and all(part in {"*", key} for part, key in zip(pattern, keys, strict=True))
