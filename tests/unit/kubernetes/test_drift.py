"""Drift: what was changed by hand, and what only a server or another tool added."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from slipway.kubernetes.drift import added, changed, differences, taken_over_fields
from tests.unit.kubernetes.rendered import Json, deployment, rendered


def test_what_a_server_adds_is_no_drift_and_quantities_may_be_written_otherwise() -> None:
    wanted = rendered()
    live = copy.deepcopy(wanted)
    deployment(live)["spec"]["template"]["spec"]["schedulerName"] = "default-scheduler"
    deployment(live)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "262144Ki"
    assert differences(wanted, live) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["spec"].update(replicas=5), "spec.replicas is 5 instead of 2"),
        (lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image="x"), "image is x instead of"),
        (lambda d: d["spec"]["template"]["spec"]["containers"].append({}), "has 2 entries instead of 1"),
        (lambda d: d["spec"]["template"]["spec"]["containers"][0].pop("lifecycle"), "lifecycle was removed"),
    ],
)
def test_drift_names_the_field(change: Any, said: str) -> None:
    live = copy.deepcopy(rendered())
    change(deployment(live))
    found = differences(rendered(), live)
    assert len(found) == 1
    assert said in found[0]


def test_a_field_that_a_person_added_is_drift_and_a_restart_is_not() -> None:
    wanted = deployment(rendered())
    template: Json = {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}
    restarted = {"metadata": {"managedFields": [{"manager": "kubectl-rollout", "fieldsV1": {"f:spec": template}}]}}
    assert list(added(wanted, restarted)) == []
    env: Json = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"auth"}': {".": {}, "f:env": {".": {}}}}}}}
    by_hand = {"metadata": {"managedFields": [{"manager": "kubectl-set", "fieldsV1": {"f:spec": env}}]}}
    assert list(added(wanted, by_hand)) == [
        'spec.template.spec.containers[{"name":"auth"}].env was added by kubectl-set'
    ]
    other = {"metadata": {"managedFields": [{"manager": "kube-controller-manager", "fieldsV1": {"f:spec": env}}]}}
    assert list(added(wanted, other)) == []


def owner(manager: str, operation: str, fields: Json) -> Json:
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": fields}}


def test_what_a_person_added_is_taken_over_so_that_the_next_apply_removes_it() -> None:
    env: Json = {"f:containers": {'k:{"name":"auth"}': {"f:env": {".": {}, 'k:{"name":"A"}': {".": {}, "f:name": {}}}}}}
    mine = owner("slipway", "Apply", {"f:replicas": {}, "f:template": {"f:spec": {"f:dnsPolicy": {}}}})
    hand = owner("kubectl-set", "Update", {"f:template": {"f:spec": env}})
    restart = owner("kubectl-rollout", "Update", {"f:template": {"f:metadata": {"f:annotations": {
        "f:kubectl.kubernetes.io/restartedAt": {}}}}})  # fmt: skip
    other = owner("kube-controller-manager", "Update", {"f:paused": {}})
    live = {"metadata": {"managedFields": [hand, mine, restart, other]}}
    both = {"f:replicas": {}, "f:template": {"f:spec": {"f:dnsPolicy": {}, **env}}}
    assert taken_over_fields(deployment(rendered()), live, "slipway") == [
        owner("slipway", "Apply", both),
        restart,
        other,
    ]


def test_what_another_tool_added_to_a_list_is_no_drift_and_what_a_person_added_is() -> None:
    wanted = rendered()
    live = copy.deepcopy(wanted)
    deployment(live)["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "x"})
    fields: Json = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"sidecar"}': {".": {}, "f:name": {}}}}}}
    for manager, drift in (("injector", False), ("kubectl-edit", True)):
        deployment(live)["metadata"]["managedFields"] = [owner(manager, "Update", fields)]
        assert bool(differences(wanted, live)) is drift


@pytest.mark.parametrize("wanted", [False, "", 0, {}, [], None, {"privileged": False}])
def test_what_is_empty_anyway_may_be_left_out_by_the_server(wanted: object) -> None:
    one = {"apiVersion": "v1", "kind": "Pod", "spec": {"field": wanted}}
    assert list(changed(one, {"spec": one["spec"]}, {"spec": {}})) == []


def test_a_number_is_a_quantity_too() -> None:
    wanted = {"spec": {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}}}]}}
    one = {"apiVersion": "v1", "kind": "Pod", **wanted}
    for cpu, found in (("500m", []), ("600m", ["spec.containers[0].resources.limits.cpu is 600m instead of 0.5"])):
        live = {"spec": {"containers": [{"resources": {"limits": {"cpu": cpu, "memory": "1024Mi"}}}]}}
        assert list(changed(one, wanted, live)) == found


OWN: Json = {"f:strategy": {}, "f:type": {}, "f:ports": {'k:{"port":80}': {"f:targetPort": {}}}}


@pytest.mark.parametrize("owner_", ["slipway", "kubectl-edit"])
@pytest.mark.parametrize(
    ("wanted", "live"),
    [
        ({"type": ""}, {"type": "ClusterIP"}),
        ({"ports": [{"port": 80, "targetPort": 0}]}, {"ports": [{"port": 80, "targetPort": 80}]}),
        ({"strategy": None}, {"strategy": {"type": "RollingUpdate"}}),
    ],
)
def test_what_is_left_to_the_server_is_no_drift_until_somebody_else_sets_it(
    owner_: str, wanted: Json, live: Json
) -> None:
    one = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": wanted}
    fields = owner(owner_, "Apply" if owner_ == "slipway" else "Update", OWN)
    found = {**one, "metadata": {"name": "x", "managedFields": [fields]}, "spec": live}
    assert bool(differences([one], [found])) is (owner_ != "slipway")


@pytest.mark.parametrize(("live", "same"), [("YQ==", True), ("Yg==", False), ("Y", False), ("", False)])
def test_bytes_are_the_same_in_every_spelling_of_base64(live: str, same: bool) -> None:
    for written in ("YQ==", "YQ\n==\n", "YR=="):
        one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "binaryData": {"A": written}}
        assert (differences([one], [{**one, "binaryData": {"A": live}}]) == []) is same
        text = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"A": "YR=="}}
        assert differences([text], [{**text, "data": {"A": "YQ=="}}])
