"""What is decided about a cluster without one: manifests, drift, the order of a rollout's conditions, records, locks."""

from __future__ import annotations

import base64
import copy
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.config.models import Service
from slipway.deployers.deployer import Release, Wanted
from slipway.deployers.kubernetes.apply import NamespaceScope
from slipway.deployers.kubernetes.deployer import KubernetesTarget
from slipway.deployers.kubernetes.release_store import State, pack, pruned, read, unpack
from slipway.docker.fake import FakeDaemon
from slipway.engine.steps import Probe
from slipway.errors import Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.kubernetes import client, rollout
from slipway.kubernetes.client import Access, Cluster, conflicts
from slipway.kubernetes.diagnose import Scene, causes, starved
from slipway.kubernetes.drift import added, changed, differences, taken_over_fields
from slipway.kubernetes.logs import warnings
from slipway.kubernetes.manifests import (
    IMAGE,
    MANIFEST,
    RELEASE,
    SCALED,
    SOURCE,
    digest,
    hidden,
    marked,
    render,
    selector,
)
from slipway.kubernetes.replicas import scaled
from slipway.kubernetes.volumes import Storage, Volumes

SERVICE: dict[str, Any] = {
    "name": "auth",
    "port": 8080,
    "replicas": 2,
    "env": {"LOG_LEVEL": "info"},
    "health": {"ready": "/health/ready", "live": "/health/live"},
    "secrets": {"KEY": {"generate": {}}},
}
Object = dict[str, Any]


def service(**changes: Any) -> Service:
    return Service.model_validate({**SERVICE, **changes})


def rendered(secret: str = "geheim", **changes: Any) -> list[Object]:
    return render("hh", "hh", service(**changes), IMAGE, {"KEY": secret})


def kinds(found: list[Object]) -> list[str]:
    return [one["kind"] for one in found]


def deployment(found: list[Object]) -> Object:
    return next(one for one in found if one["kind"] == "Deployment")


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
    changes: list[tuple[list[Object], list[dict[str, Any]]]] = [
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
    template: Object = {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}
    restarted = {"metadata": {"managedFields": [{"manager": "kubectl-rollout", "fieldsV1": {"f:spec": template}}]}}
    assert list(added(wanted, restarted)) == []
    env: Object = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"auth"}': {".": {}, "f:env": {".": {}}}}}}}
    by_hand = {"metadata": {"managedFields": [{"manager": "kubectl-set", "fieldsV1": {"f:spec": env}}]}}
    assert list(added(wanted, by_hand)) == [
        'spec.template.spec.containers[{"name":"auth"}].env was added by kubectl-set'
    ]
    other = {"metadata": {"managedFields": [{"manager": "kube-controller-manager", "fieldsV1": {"f:spec": env}}]}}
    assert list(added(wanted, other)) == []


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ({}, rollout.UNSEEN),
        ({"observedGeneration": 2, "updatedReplicas": 1}, "1 of 2 new pods are made"),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 3}, "1 old pods are ending"),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}, "1 of 2 new pods"),
        ({"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}, None),
    ],
)
def test_a_rollout_waits_in_kubectls_order(status: Object, left: str | None) -> None:
    found = rollout.status({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status})
    assert found == left if left is None else left in str(found)


def test_a_release_goes_into_a_secret_and_comes_back_without_a_secrets_value() -> None:
    release = Release("auth", 3, "r/auth@sha256:1", "src", "man", "t", "me", "abc", {"it answers": True}, service())
    packed = pack("hh", "hh", release, rendered("geheim"))
    assert packed["immutable"]
    kept = unpack(packed)
    assert kept.release == release
    assert "geheim" not in json.dumps(kept.objects)
    assert kept.names("Secret") == {rendered()[1]["metadata"]["name"]}


def test_pruning_spares_data_records_and_what_a_kept_release_needs() -> None:
    old, new = rendered("old"), rendered("new")
    release = Release("auth", 1, "i", "s", "m", "t", "me", "", {}, service())
    kept = unpack(pack("hh", "hh", release, old))
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "d", "labels": {"app.kubernetes.io/name": "auth"}}}
    extra = {"kind": "ConfigMap", "metadata": {"name": "gone", "labels": {"app.kubernetes.io/name": "auth"}}}
    other = {"kind": "ConfigMap", "metadata": {"name": "x", "labels": {"app.kubernetes.io/name": "order"}}}
    state = State((*old, *new, claim, extra, other, pack("hh", "hh", release, old)))
    assert [one["metadata"]["name"] for one in pruned(state, "auth", new, [kept])] == ["gone"]
    without = [one["metadata"]["name"] for one in pruned(state, "auth", new, [])]
    assert sorted(without) == sorted(["gone", old[1]["metadata"]["name"]])


@pytest.mark.parametrize(("status", "reason"), [({"readyReplicas": 1}, None), ({}, "none of its copies is ready")])
def test_a_release_of_which_nothing_is_ready_is_not_what_is_wanted(status: Object, reason: str | None) -> None:
    target = KubernetesTarget(NamespaceScope(Cluster(Access("x")), "hh", "hh", FakeHost("h", Facts("Linux", "x")), str, "me"),
                              Probe(State))  # fmt: skip
    wanted = Wanted(service(), "r/auth@sha256:1", "src", {"KEY": "geheim"}, "me", "")
    marks = {RELEASE: "1", SOURCE: "src", MANIFEST: target._digest(wanted)}
    objects = marked(rendered(), wanted.image, marks)
    release = Release("auth", 1, wanted.image, "src", marks[MANIFEST], "t", "me", "", {}, service())
    kept = unpack(pack("hh", "hh", release, objects))
    live = copy.deepcopy(objects)
    deployment(live)["status"] = status
    assert target.differs(State(tuple(live), kept=(kept,)), wanted) == reason


def test_a_kind_that_went_with_its_definition_is_not_listed() -> None:
    release = Release("auth", 1, "i", "s", "m", "t", "me", "", {}, service())
    rule = {"apiVersion": "example.org/v1", "kind": "Rule", "metadata": {"name": "r", "namespace": "hh"}}
    record = pack("hh", "hh", release, [rule])
    asked: list[str] = []

    class Listed(Cluster):
        def get(self, *_: str | None) -> Object:
            return {}

        def list(self, _: str, kind: str, *__: str | None) -> list[Object]:
            asked.append(kind)
            return [record] if kind == "Secret" else []

        def knows(self, _: str, kind: str) -> bool:
            return kind != "Rule"

    assert read(Listed(Access("x")), "hh", "hh").releases("auth")[0].release == release
    assert "Secret" in asked
    assert "Rule" not in asked


def test_a_scaled_number_is_kept_until_the_files_own_changes() -> None:
    live = {"metadata": {"annotations": {SCALED: "5 of 2"}}}
    assert deployment(scaled(rendered(), live, service()))["spec"]["replicas"] == 5
    assert deployment(scaled(rendered(replicas=3), live, service(replicas=3)))["spec"]["replicas"] == 3


def test_marks_and_image_are_put_on_the_deployment_alone() -> None:
    found = marked(rendered(), "r/auth@sha256:1", {RELEASE: "7"})
    assert deployment(found)["metadata"]["annotations"] == {RELEASE: "7"}
    assert deployment(found)["spec"]["template"]["spec"]["containers"][0]["image"] == "r/auth@sha256:1"
    assert all("annotations" not in one["metadata"] for one in found if one["kind"] != "Deployment")


def pod_that_ended(reason: str) -> Object:
    container = {
        "name": "c",
        "state": {"waiting": {}},
        "lastState": {"terminated": {"reason": reason, "exitCode": 137}},
    }
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"memory": "32Mi"}}}]},
        "status": {"containerStatuses": [container]},
    }


def test_a_pod_once_oom_killed_is_so_when_its_runtime_later_calls_it_an_error() -> None:
    seen = starved([pod_that_ended("OOMKilled")])
    later = Scene({"status": {}}, [pod_that_ended("Error")], starved=seen)
    assert [cause.summary for cause in causes(later)] == ["OOMKilled: it wanted more than its memory limit of 32Mi"]
    assert starved([pod_that_ended("Error")]) == set()


def test_conflicts_name_manager_and_field() -> None:
    body = {"details": {"causes": [{"message": 'conflict with "argo" using apps/v1', "field": ".spec.replicas"}]}}
    found = conflicts(json.dumps(body).encode())
    assert [(c.manager, c.field) for c in found] == [("argo", "spec.replicas")]


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("failed to resolve reference: 401 Unauthorized", "the registry lets no node pull i"),
        ("pull access denied, repository does not exist", "the registry lets no node pull i"),
        ("authorization failed: no basic auth credentials", "the registry lets no node pull i"),
        ("registry.example.com/i: not found", "image i is absent"),
        ("dial tcp: lookup registry.example.com: no such host", "image i can't be pulled"),
        ("failed to extract layer: mkdir /a: permission denied", "image i can't be pulled"),
    ],
)
def test_a_registry_that_refuses_is_told_apart_from_one_that_lacks_the_image(text: str, summary: str) -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": text}}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"containerStatuses": [{"name": "c", "state": waiting}]},
    }
    assert [cause.summary for cause in causes(Scene({"status": {}}, [pod]))] == [f"{summary}: {text}"]


def test_a_class_file_newer_than_the_jre_is_told_apart_from_a_crash() -> None:
    said = (
        "java.lang.UnsupportedClassVersionError: a/B has been compiled by a more recent version of the Java Runtime "
        "(class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0"
    )
    ended = {"terminated": {"exitCode": 1}}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "auth", "image": "i"}]},
        "status": {"containerStatuses": [{"name": "auth", "state": ended, "restartCount": 1}]},
    }
    found = causes(Scene({"status": {}}, [pod], logs={"p": said}))
    assert found[0].summary == "its classes are compiled for Java 21, and the image has Java 17"


def test_kubectl_names_the_context() -> None:
    words = Access("minikube").kubectl("get", "pods")
    assert words == ("kubectl", "--context", "minikube", "get", "pods")
    assert selector("hh", "auth").count("=") == 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"ready": False}, False),
        ({"state": {"running": {"startedAt": "2026-11-23T11:59:59Z"}}}, False),  # told before its node was stopped
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, False),
    ],
)
def test_a_pod_runs_again_when_a_container_started_since_is_ready(change: Object, expected: bool) -> None:
    container = {"ready": True, "state": {"running": {"startedAt": "2026-11-23T12:00:01Z"}}, **change}
    pod = {"metadata": {}, "status": {"phase": "Running", "containerStatuses": [container]}}
    assert rollout.runs(pod, datetime(2026, 11, 23, 12, tzinfo=UTC)) is expected
    assert rollout.runs({**pod, "metadata": {"deletionTimestamp": "2026-11-23T12:00:02Z"}}, datetime.now(UTC))


def test_storage_is_claimed_writable_and_never_shared_by_two_copies_of_a_release() -> None:
    found = rendered(storage={"data": {"path": "/data", "size": "1Gi"}})
    spec = deployment(found)["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["template"]["spec"]["securityContext"]["fsGroup"] == 10001
    assert "fsGroup" not in deployment(rendered())["spec"]["template"]["spec"]["securityContext"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Volumes(provisioned=True, there=frozenset()), None),
        (Volumes(provisioned=False, there=frozenset({"hh-auth-data"})), None),
        (Volumes(provisioned=False, there=frozenset()), "the cluster makes no volumes, and has none for hh-auth-data"),
    ],
)
def test_volumes_are_made_only_where_the_cluster_makes_none(facts: Volumes, reason: str | None) -> None:
    storage = Storage(Cluster(Access("minikube")), FakeDaemon(), "minikube", "hh", "hh")
    change = storage.differs(facts, [service(storage={"data": {"path": "/data"}})])
    assert (change.reason if change else None) == reason


def test_warnings_are_of_what_is_still_wrong() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def event(pod: str, reason: str, minute: int, kind: str = "Warning") -> Object:
        when = f"2026-11-23T11:{minute:02}:00Z"
        return {"type": kind, "reason": reason, "message": "m", "lastTimestamp": when, "involvedObject": {"name": pod},
                "metadata": {}}  # fmt: skip

    events = [
        event("well", "Unhealthy", 58),
        event("ill", "Unhealthy", 57),
        event("well", "FailedScheduling", 56),
        event("ill", "Unhealthy", 40),  # long ago
        event("ill", "Pulled", 59, "Normal"),
    ]
    assert warnings(events, {"ill"}, now) == ["well: FailedScheduling: m (x1)", "ill: Unhealthy: m (x1)"]


def owner(manager: str, operation: str, fields: Object) -> Object:
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": fields}}


def test_what_a_person_added_becomes_slipways_own_so_that_its_next_apply_takes_it_away() -> None:
    env: Object = {
        "f:containers": {'k:{"name":"auth"}': {"f:env": {".": {}, 'k:{"name":"A"}': {".": {}, "f:name": {}}}}}
    }
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
    fields: Object = {"f:template": {"f:spec": {"f:containers": {'k:{"name":"sidecar"}': {".": {}, "f:name": {}}}}}}
    for manager, drift in (("injector", False), ("kubectl-edit", True)):
        deployment(live)["metadata"]["managedFields"] = [owner(manager, "Update", fields)]
        assert bool(differences(wanted, live)) is drift


def test_a_shown_manifest_has_no_secrets_value(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    own = "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {KEY: geheim}\n"
    (tmp_path / "manifests" / "own.yaml").write_text(own)
    found = hidden(render("hh", "ns", service(folder=tmp_path), IMAGE, {"KEY": "geheim"}))
    assert found[-1]["data"] == {"KEY": "***"}
    assert "geheim" not in json.dumps(found)
    assert base64.b64encode(b"geheim").decode() not in json.dumps(found)


@pytest.mark.parametrize("wanted", [False, "", 0, {}, [], None, {"privileged": False}])
def test_what_is_empty_anyway_may_be_left_out_by_the_server(wanted: object) -> None:
    assert list(changed({"spec": {"field": wanted}}, {"spec": {}})) == []


def test_a_number_is_a_quantity_too() -> None:
    assert list(changed({"cpu": 0.5, "memory": "1Gi"}, {"cpu": "500m", "memory": "1024Mi"})) == []
    assert list(changed({"cpu": 0.5}, {"cpu": "600m"})) == ["cpu is 600m instead of 0.5"]


def kubeconfig(folder: Path, authority: bytes, server: str = "https://192.0.2.1:6443") -> str:
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": cluster}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
    }
    file = folder / f"{hash(authority)}.json"
    file.write_text(json.dumps(found))
    return str(file)


def test_what_is_kept_of_a_clusters_api_is_found_again_by_its_authority(tmp_path: Path) -> None:
    names = []
    for authority in (b"one", b"one", b"two"):
        way = kubeconfig(tmp_path, authority)
        names.append(Cluster(Access("x", lambda way=way: way))._identity)  # type: ignore[misc]
    assert names[0] == names[1] != names[2]


def test_an_api_that_never_answers_is_told_though_its_kinds_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(client, "TIMEOUT", (0.2, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        way = kubeconfig(tmp_path, b"", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Problem, match="does not answer"):
            Cluster(Access("x", lambda: way)).knows("example.org/v1", "Rule")
