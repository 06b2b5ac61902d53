"""A service as a cluster's objects: what is rendered, digested, shown, and released."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from slipway.kubernetes.manifests.labels import RELEASE
from slipway.kubernetes.manifests.render import IMAGE, digest, for_release, redacted, render
from tests.unit.kubernetes.rendered import Json, deployment, editable, rendered, service


def kinds(found: list[Json]) -> list[str]:
    return [one["kind"] for one in found]


def test_a_service_is_rendered_as_restricted_pods_with_limits_probes_and_a_drain() -> None:
    found = rendered()
    assert kinds(found) == ["ConfigMap", "Secret", "Service", "PodDisruptionBudget", "Deployment"]
    pod = deployment(found)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"] == {"memory": "256Mi"}
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert deployment(found)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_an_autoscaled_service_leaves_its_replicas_to_the_autoscaler() -> None:
    found = rendered(autoscale={"max": 6, "cpu": 70})
    assert "replicas" not in deployment(found)["spec"]
    scaler = found[-1]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 6)


def test_the_digest_follows_settings_secrets_and_checks_but_holds_no_secret() -> None:
    base = digest(rendered(), [])
    assert digest(rendered(), []) == base
    changes: list[tuple[list[Json], list[dict[str, Any]]]] = [
        (rendered("other"), []),
        (rendered(env={"LOG_LEVEL": "debug"}), []),
        (rendered(replicas=3), []),
        (rendered(), [{"name": "x"}]),
    ]
    assert len({digest(*change) for change in changes} | {base}) == 5


def test_own_manifests_are_put_into_the_namespace_and_labelled(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "more.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n")
    found = render("hh", "ns", service(folder=tmp_path), IMAGE, {})[-1]
    assert found["metadata"]["namespace"] == "ns"
    assert found["metadata"]["labels"]["app.kubernetes.io/name"] == "auth"


def test_storage_is_claimed_writable_and_never_shared_by_two_copies_of_a_release() -> None:
    found = rendered(storage={"data": {"path": "/data", "size": "1Gi"}})
    spec = deployment(found)["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["template"]["spec"]["securityContext"]["fsGroup"] == 10001
    assert "fsGroup" not in deployment(rendered())["spec"]["template"]["spec"]["securityContext"]


def test_marks_and_image_are_put_on_the_deployment_alone() -> None:
    found = editable(for_release(rendered(), "r/auth@sha256:1", {RELEASE: "7"}))
    assert deployment(found)["metadata"]["annotations"] == {RELEASE: "7"}
    assert deployment(found)["spec"]["template"]["spec"]["containers"][0]["image"] == "r/auth@sha256:1"
    assert all("annotations" not in one["metadata"] for one in found if one["kind"] != "Deployment")


def test_a_shown_manifest_has_no_secrets_value(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    own = "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {KEY: geheim}\n"
    (tmp_path / "manifests" / "own.yaml").write_text(own)
    found = redacted(render("hh", "ns", service(folder=tmp_path), IMAGE, {"KEY": "geheim"}))
    assert found[-1]["data"] == {"KEY": "***"}
    assert "geheim" not in json.dumps(found)
    assert base64.b64encode(b"geheim").decode() not in json.dumps(found)


@pytest.mark.parametrize("text", ["YQ==", "YR==", '"YQ\\n=="'])
def test_bytes_of_an_own_secret_are_spelled_as_the_api_server_stores_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifests").mkdir()
    own = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: own}}\ndata: {{KEY: {text}}}\n"
    (tmp_path / "manifests" / "own.yaml").write_text(own)
    assert render("hh", "ns", service(folder=tmp_path), IMAGE, {})[-1]["data"] == {"KEY": "YQ=="}


POD = {
    "initContainers": [{"name": "i", "image": "IMAGE"}],
    "containers": [{"name": "a", "image": "IMAGE"}, {"name": "b", "image": "c:1"}],
    "volumes": [{"name": "v", "image": {"reference": "IMAGE"}}, {"name": "w", "emptyDir": {}}],
}


@pytest.mark.parametrize(
    ("api_version", "kind", "keys"),
    [
        *(("apps/v1", kind, "spec.template.spec") for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")),
        ("batch/v1", "Job", "spec.template.spec"),
        ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
        ("v1", "Pod", "spec"),
        ("v1", "PodTemplate", "template.spec"),
        ("serving.knative.dev/v1", "Service", "spec.template.spec"),
    ],
)
def test_the_image_is_that_of_the_release_in_every_pod_template(api_version: str, kind: str, keys: str) -> None:
    inner: Any = POD
    for key in reversed(keys.split(".")):
        inner = {key: inner}
    one = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **inner}
    text = json.dumps(for_release([one], "r/web@sha256:1", {}))
    assert (text.count("r/web@sha256:1"), text.count("IMAGE"), text.count("c:1")) == (3, 0, 1)


def test_a_text_that_is_no_image_stays() -> None:
    one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"image": "IMAGE"}}
    assert for_release([one], "r/web@sha256:1", {}) == [one]


@pytest.mark.parametrize(
    ("limits", "rendered_limits"),
    [
        ({}, {"memory": "256Mi"}),
        ({"cpu": "1"}, {"memory": "256Mi", "cpu": "1"}),
        ({"memory": "1Gi"}, {"memory": "1Gi"}),
    ],
)
def test_limits_are_the_memory_that_is_requested_unless_others_are_set(limits: Json, rendered_limits: Json) -> None:
    found = rendered(resources={"limits": limits})
    resources = deployment(found)["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": rendered_limits}
    assert ("limits" in service(resources={"limits": limits}).resources.model_dump()) is bool(limits)


@pytest.mark.parametrize(
    ("port", "sysctls"),
    [
        (80, [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]),
        (1023, [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]),
        (1024, None),
        (8080, None),
    ],
)
def test_a_low_port_can_be_listened_on_without_root_as_on_docker(port: int, sysctls: object) -> None:
    context = deployment(rendered(port=port))["spec"]["template"]["spec"]["securityContext"]
    assert (context.get("sysctls"), context["runAsNonRoot"]) == (sysctls, True)


@pytest.mark.parametrize("health", [None, {"ready": "/r"}, {"exec": ["true"]}])
@pytest.mark.parametrize(("start_within", "seconds"), [(None, 60), ("180s", 180)])
def test_a_copy_gets_the_time_to_start_that_its_service_wants(
    health: Json | None, start_within: str | None, seconds: int
) -> None:
    found = rendered(health=health, start_within=start_within)
    probe = deployment(found)["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] == seconds
