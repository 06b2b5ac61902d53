"""Quantities as the API server stores them: the same value is no drift, and a text elsewhere is no quantity."""

from __future__ import annotations

import copy
import json
from decimal import ROUND_UP, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity as reference

from slipway.kubernetes.drift import differences
from tests.unit.kubernetes.rendered import Json, deployment, rendered

BINARY, DECIMAL = ["", *(f"{unit}i" for unit in "KMGTPE")], ["n", "u", "m", "", *"kMGTPE"]


def canonical(text: str, places: int = 3) -> str:
    """What the API server writes (k8s.io/apimachinery, resource.Quantity, "canonical form"): no fraction, the largest
    unit, a unit of its own family; smaller than `places` digits behind the point is rounded up; an exponent stays
    one. A size in powers of two is at most 2^63-1, and one below 1, or with a fraction, is written in tenths.
    """
    with localcontext(prec=60):
        value: Decimal = reference(text).quantize(Decimal(1).scaleb(-places), rounding=ROUND_UP)  # type: ignore[no-untyped-call]
        binary = text.endswith("i")
        value = min(value, Decimal(2**63 - 1)) if binary else value
        if binary and value == int(value) and abs(value) >= 1024:
            fits = [(unit, value / 1024**power) for power, unit in enumerate(BINARY)]
        elif "e" in text.lower() and not text.endswith("E"):
            fits = [(f"e{power}" if power else "", value.scaleb(-power)) for power in range(-9, 19, 3)]
        else:
            fits = [(unit, value.scaleb(-3 * power)) for power, unit in enumerate(DECIMAL, -3)]
        unit, number = [(unit, number) for unit, number in fits if number == int(number)][-1]
        return f"{int(number)}{unit if number else ''}"


@pytest.mark.parametrize(
    ("written", "stored"),  # each as Kubernetes 1.34's own resource.ParseQuantity answers
    [
        ("0.7", "700m"), ("1.4Gi", "1503238553600m"), ("0.7Gi", "751619276800m"), ("1.5Gi", "1536Mi"), ("2000m", "2"), ("0.0001", "1m"),
        ("1024", "1024"), ("1024Ki", "1Mi"), ("1000Ki", "1000Ki"), ("1.5", "1500m"), ("12e6", "12e6"), ("1e3", "1e3"), ("1E-2", "10e-3"), ("9999Ei", "9223372036854775807"), ("0.0000001Ki", "1m"), ("1.2345678Gi", "1325607081424m"), ("0.5Ki", "512"), ("0", "0"),
    ],
)  # fmt: skip
def test_the_canonical_form_of_these_tests_is_that_of_kubernetes(written: str, stored: str) -> None:
    assert canonical(written) == stored


QUANTITIES = st.builds(
    "{}{}".format,
    st.from_regex(r"([0-9]{1,6}\.?[0-9]{0,6}|\.[0-9]{1,9})", fullmatch=True),
    st.sampled_from([*BINARY, *DECIMAL, "e3", "E-2", "e+06"]),
)


@settings(deadline=None)
@given(QUANTITIES, QUANTITIES)
def test_what_the_api_server_writes_otherwise_is_no_drift_and_another_value_is(written: str, other: str) -> None:
    wanted = rendered()
    requests(wanted)["cpu"] = written
    live = copy.deepcopy(wanted)
    requests(live)["cpu"] = canonical(written)
    assert differences(wanted, live) == []
    requests(live)["cpu"] = canonical(other)
    same = reference(canonical(other)) == reference(canonical(written))  # type: ignore[no-untyped-call]
    assert (differences(wanted, live) == []) is same


def requests(found: list[Json]) -> Json:
    limits: Json = deployment(found)["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    return limits


def own(api_version: str, kind: str, path: str, value: object) -> Json:
    """An object with `value` at a path; `0` in it is an index of a list."""
    found: Any = value
    for key in reversed(path.split(".")):
        found = [found] if key == "0" else {key: found}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **found}


QUANTITY_FIELDS = [
    ("v1", "Pod", "spec.initContainers.0.resources.limits.memory"),
    ("v1", "Pod", "spec.resources.requests.cpu"),
    ("v1", "Pod", "spec.overhead.cpu"),
    ("v1", "Pod", "spec.volumes.0.emptyDir.sizeLimit"),
    ("v1", "Pod", "spec.containers.0.env.0.valueFrom.resourceFieldRef.divisor"),
    ("v1", "Pod", "spec.volumes.0.projected.sources.0.downwardAPI.items.0.resourceFieldRef.divisor"),
    ("v1", "Pod", "spec.volumes.0.ephemeral.volumeClaimTemplate.spec.resources.requests.storage"),
    ("apps/v1", "DaemonSet", "spec.template.spec.containers.0.resources.limits.example com/gpu"),
    ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates.0.spec.resources.requests.storage"),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec.containers.0.resources.requests.cpu"),
    ("batch/v1", "Job", "spec.template.spec.containers.0.resources.requests.cpu"),
    ("v1", "PersistentVolumeClaim", "spec.resources.requests.storage"),
    ("v1", "PersistentVolume", "spec.capacity.storage"),
    ("v1", "ResourceQuota", "spec.hard.requests memory"),
    ("v1", "LimitRange", "spec.limits.0.maxLimitRequestRatio.cpu"),
    ("v1", "LimitRange", "spec.limits.0.defaultRequest.cpu"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "spec.metrics.0.pods.target.averageValue"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "spec.metrics.0.external.target.value"),
    ("node.k8s.io/v1", "RuntimeClass", "overhead.podFixed.cpu"),
]
TEXT_FIELDS = [
    ("v1", "ConfigMap", "data.version"),
    ("v1", "Pod", "spec.containers.0.env.0.value"),
    ("v1", "Pod", "spec.containers.0.args.0"),
    ("v1", "Service", "spec.selector.release"),
    ("example.org/v1", "Pod", "spec.containers.0.resources.limits.cpu"),  # a custom resource is kept as it is written
    ("serving.knative.dev/v1", "Service", "spec.template.spec.containers.0.resources.limits.cpu"),
    ("policy/v1", "PodDisruptionBudget", "spec.maxUnavailable"),
]


@pytest.mark.parametrize("field", QUANTITY_FIELDS, ids=str)
@pytest.mark.parametrize(
    ("written", "stored", "same"),
    [
        ("0.7", "700m", True),
        ("1.4Gi", "1503238553600m", True),
        ("2", 2, True),
        ("1.0", "1", True),
        ("0.7", "701m", False),
    ],
)
def test_a_quantity_is_compared_as_one_where_the_schema_has_one(
    field: tuple[str, str, str], written: str, stored: str, same: bool
) -> None:
    assert (differences([own(*field, written)], [own(*field, stored)]) == []) is same


@pytest.mark.parametrize("field", TEXT_FIELDS, ids=str)
@pytest.mark.parametrize(("written", "live"), [("0.10", "0.1"), ("1.0", "1"), ("1Ki", "1024"), ("700m", "0.7")])
def test_a_text_that_could_be_a_quantity_is_a_text_elsewhere(
    field: tuple[str, str, str], written: str, live: str
) -> None:
    assert differences([own(*field, written)], [own(*field, live)]) != []
    assert differences([own(*field, written)], json.loads(json.dumps([own(*field, written)]))) == []
