"""Deploys to the real Minikube: unchanged, changed, by hand, faulty, killed, two at once; the running release never stops answering."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Service, Storage
from slipway.deployers.kubernetes.deployer import deployments
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import read
from slipway.engine.reporter import null_reporter
from slipway.engine.steps import Probe
from slipway.hosts.local import LocalHost
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.deployment import DRAIN
from slipway.kubernetes.manifests.namespace import namespace
from tests.contracts.deployer import CHECK, DeployerContract, Subject, desired_release
from tests.integration.project import ROOT
from tests.lab import machines
from tests.lab.load import Load, in_cluster
from tests.lab.toys import SERVICE, Toys
from tests.unit.kubernetes.fake_checks import FakeClusterChecks

pytestmark = pytest.mark.lab


def image(toys: Toys) -> str:
    return str(toys.object("deployment")["spec"]["template"]["spec"]["containers"][0]["image"])


def test_status_and_kubectl_agree_and_everything_is_as_the_house_rules_say(toys: Toys) -> None:
    status = toys.status()
    assert (status["wanted"], status["ready"], status["release"]) == (2, 2, 1)
    deployment = toys.object("deployment")
    spec = deployment["spec"]["template"]["spec"]
    assert status["digest"] == spec["containers"][0]["image"].partition("@")[2]
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert toys.object("service")["spec"]["ports"][0]["port"] == 8080
    assert toys.object("pdb")["spec"]["maxUnavailable"] == 1
    labels = json.loads(toys.kubectl("get", "namespace", toys.name, "-o", "json"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    whole = json.loads(toys.invoke("status", "--output", "json").out)
    assert whole["nodes"][0]["cpu"]["requested"] < whole["nodes"][0]["cpu"]["allocatable"]
    limit = int(subprocess.check_output(["docker", "inspect", "--format", "{{.HostConfig.Memory}}", "minikube"]))
    assert whole["nodes"][0]["memory"]["allocatable"] == pytest.approx(limit, rel=0.01)


def test_nothing_changes_again_nor_from_a_second_clone(toys: Toys, tmp_path: Path) -> None:
    again = toys.deploy()
    assert (again.exit, set(again.steps.values())) == (0, {"unchanged"}), again.out
    assert toys.deploy("--plan").exit == 0
    second = tmp_path / "second clone"
    shutil.copytree(
        ROOT, second, ignore=shutil.ignore_patterns(".slipway", "target", ".git", "__pycache__"), symlinks=True
    )
    words = [str(second / "invoke"), *toys.command("deploy", "--output", "json")[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert events[-1]["changed"] == 0


def test_forward_opens_a_loopback_tunnel_and_closes_it(toys: Toys) -> None:
    import requests

    process = subprocess.Popen(toys.command("forward", "--service", "toy"), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    url = process.stdout.readline().split()[1]
    assert requests.get(url, timeout=5).text.startswith("hello from")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=2)


def test_a_change_rolls_out_under_load_without_a_failed_request(toy: Toys) -> None:
    before = image(toy)
    toy.write(note="changed", env={"VERSION": "2"})
    with Load(in_cluster(toy), rate=60) as load:
        done = toy.deploy()
        load.more(DRAIN + 3)  # a kept connection ends with its pod, which drains
    assert done.exit == 0, done.out
    assert done.steps["toy/delivery"] == "changed"
    assert load.failures == []
    assert load.sent == load.answered > 100
    assert load.rate >= 50, f"{load.rate:.0f} requests a second"
    assert image(toy) != before
    assert "version 2" in load.last


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("crash", "its database is on fire"),
        ("path", "/health/ready answers 404"),
        ("live", "live checks failed: it greets"),
    ],
)
def test_a_faulty_release_is_rolled_back_to_the_one_before_which_never_stops_answering(
    toy: Toys, fault: str, cause: str
) -> None:
    number, serving = toy.status()["release"], image(toy)
    toy.fault(fault)
    with Load(in_cluster(toy), rate=20) as load:
        done = toy.deploy()
    assert done.exit == 1, done.out
    assert cause in done.failure("toy/release")
    assert f"release {number} of toy is running again" in done.failure("toy/release")
    assert (toy.status()["release"], image(toy)) == (number, serving)
    kept = ROOT / ".slipway" / "runs" / done.events[0]["run"] / "toy-release.txt"
    assert cause in kept.read_text()
    if fault != "live":  # a release that passes its probes gets requests until its checks fail
        assert load.failures == []
        assert load.sent == load.answered


def test_a_pod_that_is_too_big_is_explained_with_the_figures(toy: Toys) -> None:
    toy.write(resources={"cpu": "7", "memory": "32Mi"})
    done = toy.deploy()
    assert done.exit == 1, done.out
    assert "a pod asks for 7.00 CPUs" in done.failure("toy/release")
    assert "of 2.00 CPUs left" in done.failure("toy/release")


@pytest.mark.long
def test_a_quota_with_room_for_one_pod_more_has_the_copies_replaced_one_behind_the_other(toy: Toys) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tight"},
        "spec": {"hard": {"pods": "3"}},
    }
    before = {one["name"] for one in toy.settled()["containers"]}
    assert "created" in toy.kubectl("apply", "--filename", "-", text=json.dumps(quota))
    try:
        toy.write(note="in the room of a quota")
        done = toy.deploy()
        assert done.exit == 0, done.out
        assert "waiting: a quota of the namespace is used up" in done.out
        assert done.steps["toy/release"] == "changed"
        assert before.isdisjoint(one["name"] for one in toy.settled()["containers"])
    finally:
        toy.kubectl("delete", "resourcequota", "tight")


@pytest.mark.parametrize(
    ("hand", "reason"),
    [
        (("scale", "deployment/toy", "--replicas=3"), "spec.replicas is 3 instead of 2"),
        (("set", "image", "deployment/toy", "toy=nowhere.invalid/x:1"), "containers[0].image is nowhere.invalid/x:1"),
        (("set", "env", "deployment/toy", "BY_HAND=1"), "was added by kubectl"),
        (
            ("patch", "service", "toy", '--patch={"spec": {"externalIPs": ["192.0.2.1"]}}'),
            "spec.externalIPs was added by",
        ),
        (
            ("patch", "pdb", "toy", '--patch={"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}'),
            "was added by kubectl",
        ),
        (("delete", "deployment", "toy"), "Deployment toy does not exist"),
        (("delete", "service", "toy"), "Service toy does not exist"),
    ],
)
def test_a_change_by_kubectl_is_reported_by_a_plan_and_reverted_by_a_deploy(
    toy: Toys, hand: tuple[str, ...], reason: str
) -> None:
    said = toy.kubectl(*hand)
    plan = toy.deploy("--plan")
    reasons = {step["id"]: step["reason"] for step in plan.events[0]["steps"]}
    assert plan.exit == 3, said + plan.out
    assert reason in reasons["toy/release"]
    assert [name for name, text in reasons.items() if text] == ["toy/release"]
    assert toy.deploy().exit == 0
    assert toy.deploy("--plan").exit == 0
    assert toy.object("deployment")["spec"]["replicas"] == 2


def test_a_field_of_another_manager_is_a_conflict_that_names_it_and_changes_nothing(toy: Toys) -> None:
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "toy"}, "spec": {"replicas": 4}}
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=argo", "-f", "-")
    toy.kubectl(*words, text=json.dumps(patch))
    toy.write(env={"VERSION": "conflict"})
    done = toy.deploy()
    assert done.exit == 1, done.out
    assert "argo" in done.failure("toy/release")
    assert "spec.replicas" in done.failure("toy/release")
    assert toy.object("deployment")["spec"]["replicas"] == 4
    toy.kubectl("delete", "deployment", "toy")


def test_rollback_to_the_first_of_three_releases_and_history_in_another_folder(toy: Toys) -> None:
    first, number = image(toy), toy.status()["release"]
    for version in ("two", "three"):
        toy.write(note=version)
        assert toy.deploy().exit == 0
    assert image(toy) != first
    assert toy.invoke("rollback", "--service", "toy", "--to", str(number)).exit == 0
    assert image(toy) == first
    releases = json.loads(toy.invoke("history", "--output", "json").out)["releases"]
    assert [r["number"] for r in releases if r["serving"]] == [number]
    assert releases[0]["number"] == number + 2


def test_scale_is_kept_over_deploys_until_the_files_value_changes(toy: Toys) -> None:
    assert toy.invoke("scale", "--service", "toy", "--replicas", "3").exit == 0
    assert toy.deploy("--plan").exit == 0
    toy.settled()
    with Load(in_cluster(toy), rate=50) as load:
        load.more(3)
    assert len(load.names) == 3
    toy.write(note="scaled")
    assert toy.deploy().exit == 0
    assert toy.object("deployment")["spec"]["replicas"] == 3
    toy.write(note="scaled", replicas=1)
    assert toy.deploy().exit == 0
    assert toy.object("deployment")["spec"]["replicas"] == 1


def test_changed_settings_of_an_image_that_this_docker_does_not_have_are_smoke_tested_and_released(toy: Toys) -> None:
    toy.write(env={"VERSION": "settings"})
    assert "its settings or checks differ from the running release: env VERSION" in toy.deploy("--plan").out
    listed = ["docker", "images", f"{toy.name}/toy", "--format", "{{.Repository}}:{{.Tag}}"]
    tags = subprocess.check_output(listed, text=True).split()
    subprocess.run(["docker", "rmi", "-f", *tags], check=True, capture_output=True)
    done = toy.deploy()
    assert done.exit == 0, done.out
    assert done.steps["toy/smoke"] == "changed"
    assert "version settings" in requests_from(toy)


def test_a_deleted_pod_is_replaced_within_30_seconds_and_the_service_answers_all_along(toys: Toys) -> None:
    pod = toys.settled()["containers"][0]["name"]
    with Load(in_cluster(toys), rate=50) as load:
        toys.kubectl("delete", "pod", pod, "--wait=false")
        deadline = time.monotonic() + 30
        while (status := toys.status())["ready"] < 2 or pod in [c["name"] for c in status["containers"]]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert load.failures == []


def test_a_killed_process_is_back_within_30_seconds_while_the_other_copy_answers(toys: Toys) -> None:
    before = toys.settled()
    with Load(in_cluster(toys), rate=50) as load:
        load.more(1)
        killed = time.time()
        toys.shot(before["containers"][0]["name"])
        deadline = time.monotonic() + 30
        while (status := toys.status())["ready"] < 2 or status["restarts"] <= before["restarts"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        load.more(1)
    assert load.silence < 2
    late = [one for one in load.failures if float(one.split()[0]) - killed > 10]
    assert late == []  # requests to the killed copy fail until its node has seen that it is gone


@pytest.mark.parametrize("part", [0.4, 0.75, *(pytest.param(one, marks=pytest.mark.long) for one in (0.1, 0.6, 0.85))])
def test_a_deploy_killed_at_any_moment_is_finished_by_the_next(toy: Toys, part: float) -> None:
    killed = toy.killed(part, attempts=3)
    assert killed.alive, f"the deploy had ended before second {killed.moment:.1f}"
    assert killed.faults == ()


def test_a_minikube_made_of_the_labs_bundle_is_no_machine_of_the_lab(toys: Toys) -> None:
    label, value = machines.LABEL.split("=")
    found = machines.sh("docker", "inspect", "--format", f'{{{{index .Config.Labels "{label}"}}}}', "minikube")
    assert found.strip() == value, "it inherits the label of its image"
    assert "minikube" not in machines.machines_left()


def test_two_deploys_at_once_come_one_after_the_other(toy: Toys) -> None:
    toy.write(note="two at once")
    assert toy.invoke("smoke").exit == 0  # two people have a Docker each; here they share one, and its smoke test
    words = toy.command("deploy", "--output", "json")
    one = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    apart = 'mount -t tmpfs none /run/lock && exec "$@"'  # as if with a Docker of its own
    two = subprocess.Popen(["unshare", "--mount", "sh", "-c", apart, "sh", *words], stdout=subprocess.PIPE, text=True)
    said = [process.communicate()[0] for process in (one, two)]
    assert [one.returncode, two.returncode] == [0, 0], said
    assert "which is deploying to this namespace" in "".join(said)
    assert toy.deploy("--plan").exit == 0


def test_a_stopped_cluster_is_reported_by_a_plan_and_started_by_a_deploy_with_its_data(toys: Toys) -> None:
    assert toys.invoke("cluster.stop").exit == 0
    plan = toys.deploy("--plan")
    assert plan.exit == 3
    assert "the cluster is stopped" in plan.out
    subprocess.run(["docker", "restart", "slipway-registry"], check=True)  # a reboot may start it before the node
    done = toys.invoke("deploy", "--output", "json", timeout=400)
    assert done.exit == 0, done.out
    assert done.steps["cluster"] == "changed"
    assert "incomplete cluster" not in done.out
    assert (done.steps["toy/release"], toys.status()["ready"]) == ("unchanged", 2)


def test_a_secrets_value_is_in_no_output_record_or_manifest(toy: Toys) -> None:
    value = "pä$s'w\"ö rd-${HOME}-\\n"
    file = toy.folder / "settings" / "environments" / "minikube.yaml"
    file.write_text(json.dumps({"secrets": {"KEY": {"env": "THE_KEY"}}}))
    toy.env["THE_KEY"] = value
    try:
        done = toy.deploy()
        assert done.exit == 0, done.out
        pod = toy.settled()["containers"][0]["name"]
        secret = toy.object("pod", pod)["spec"]["containers"][0]["envFrom"][1]["secretRef"]["name"]
        import base64

        assert base64.b64decode(toy.object("secret", secret)["data"]["KEY"]).decode() == value
        run = ROOT / ".slipway" / "runs" / done.events[0]["run"]
        written = "".join(path.read_text() for path in run.rglob("*") if path.is_file())
        rendered = toy.invoke("render").out
        releases = toy.invoke("history", "--output", "json").out
        assert all(value not in place for place in (done.out, done.err, written, rendered, releases))
    finally:
        file.unlink()
        toy.env.clear()


def test_down_keeps_secrets_and_history_and_purge_removes_them(toy: Toys) -> None:
    kept = toy.object("secret", "slipway.generated")["data"]
    assert toy.invoke("down").exit == 0
    assert toy.object("deployment") == {}
    assert toy.object("secret", "slipway.generated")["data"] == kept
    toy.kubectl("create", "configmap", "not-ours")
    assert toy.invoke("down", "--purge").exit == 0
    assert toy.object("secret", "slipway.generated") == {}
    assert "slipway" not in toy.kubectl("get", "secrets", "-o", "name")
    assert toy.object("configmap", "not-ours")


def test_the_api_server_restarted_in_the_middle_of_a_rollout_is_waited_for(toy: Toys) -> None:
    toy.write(note="api away", env={"VERSION": "api"})
    running = subprocess.Popen(toy.command("deploy"), stdout=subprocess.PIPE, text=True)
    assert running.stdout
    said = []
    for line in running.stdout:
        said.append(line)
        if "toy/release" in line and "ContainerCreating" in line:
            break
    pod = "crictl ps -q --name kube-apiserver | xargs crictl stop --timeout 1"
    subprocess.run(["docker", "exec", "minikube", "sh", "-c", pod], check=True, capture_output=True)
    said.append(running.stdout.read())
    assert running.wait(240) == 0, "".join(said)
    assert "version api" in requests_from(toy)


def requests_from(toy: Toys) -> str:
    with Load(in_cluster(toy), rate=20) as load:
        load.more(1)
    return load.last


def test_an_environment_by_context_is_the_same_cluster_and_pulls_its_images_from_its_local_registry(
    toy: Toys,
) -> None:
    settings = toy.folder / "settings" / "environments" / "named.yaml"
    settings.write_text(json.dumps({"cluster": {"kind": "context", "context": "minikube"}, "protected": True}))
    try:
        status = json.loads(toy.invoke("status", "--env", "named", "--output", "json").out)
        assert status["services"][0]["ready"] == 2
        refused = toy.invoke("deploy", "--env", "named")
        assert refused.exit == 2
        assert "--yes named" in refused.out + refused.err
        same = toy.invoke("deploy", "--env", "named", "--yes", "named", "--output", "json")
        assert (same.exit, set(same.steps.values())) == (0, {"unchanged"}), same.out
        toy.write(note="by context", env={"VERSION": "context"})
        done = toy.invoke("deploy", "--env", "named", "--yes", "named", "--output", "json")
        assert (done.exit, done.steps["toy/delivery"]) == (0, "changed"), done.out
        assert "version context" in requests_from(toy)
    finally:
        settings.unlink()


def test_a_context_that_is_no_minikube_here_wants_a_registry_before_anything_is_built(toy: Toys) -> None:
    toy.kubectl("config", "set-context", "elsewhere", "--cluster=minikube", "--user=minikube")
    settings = toy.folder / "settings" / "environments" / "elsewhere.yaml"
    settings.write_text(json.dumps({"cluster": {"kind": "context", "context": "elsewhere"}}))
    try:
        same = toy.invoke("deploy", "--env", "elsewhere", "--output", "json")
        assert (same.exit, set(same.steps.values())) == (0, {"unchanged"}), same.out
        toy.write(note="needs a registry")
        for words in (("--plan",), ()):
            done = toy.invoke("deploy", "--env", "elsewhere", "--output", "json", *words)
            assert done.exit == 2, done.out
            assert "names no registry" in done.failure("platform")
        assert done.steps["toy/image"] == "skipped"
    finally:
        settings.unlink()
        toy.kubectl("config", "delete-context", "elsewhere")


@pytest.fixture
def closed(toys: Toys, tmp_path: Path) -> Iterator[str]:
    """A registry that wants a password, which the node trusts, and an environment that names it; its address."""
    import bcrypt

    name, node, password = f"closed-{toys.name}", ("docker", "exec", "minikube", "sh", "-c"), b"let me in"
    (tmp_path / "htpasswd").write_bytes(b"team:" + bcrypt.hashpw(password, bcrypt.gensalt()))
    wants = ("REGISTRY_AUTH_HTPASSWD_REALM=team", "REGISTRY_AUTH_HTPASSWD_PATH=/htpasswd")
    run = ["docker", "run", "--detach", "--name", name, "--network=minikube", "--publish=127.0.0.1::5000"]
    mount = f"--volume={tmp_path}/htpasswd:/htpasswd:ro"
    subprocess.run([*run, *(f"--env={one}" for one in wants), mount, "slipway/bundle-registry:1"], check=True)
    address = subprocess.check_output(["docker", "port", name, "5000"], text=True).strip()
    folder, ip = f"/etc/containerd/certs.d/{address}", "{{.NetworkSettings.Networks.minikube.IPAddress}}"
    there = subprocess.check_output(["docker", "inspect", "--format", ip, name], text=True).strip()
    subprocess.run([*node, f"mkdir {folder}; echo '[host.\"http://{there}:5000\"]' >{folder}/hosts.toml"], check=True)
    settings = toys.folder / "settings" / "environments" / "closed.yaml"
    closed = {"kind": "context", "context": "closed", "registry": f"{address}/team"}
    settings.write_text(json.dumps({"cluster": closed}))
    toys.kubectl("config", "set-context", "closed", "--cluster=minikube", "--user=minikube")
    toys.env["DOCKER_CONFIG"] = str(tmp_path / "docker")
    yield address
    toys.kubectl("patch", "serviceaccount", "default", '--patch={"imagePullSecrets": null}')
    toys.kubectl("delete", "secret", "pull")
    del toys.env["DOCKER_CONFIG"]
    toys.kubectl("config", "delete-context", "closed")
    settings.unlink()
    subprocess.run([*node, f"rm -r {folder}"], check=True)
    subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True)


def test_a_registry_that_wants_credentials_has_them_of_docker_and_of_the_namespace(toy: Toys, closed: str) -> None:
    before, login = image(toy), Path(toy.env["DOCKER_CONFIG"]) / "config.json"
    login.parent.mkdir()
    login.write_text("{}")
    toy.write(note="behind a password")
    words = ("deploy", "--env", "closed", "--output", "json")
    unknown = toy.invoke(*words)
    assert (unknown.exit, f"docker login {closed}" in unknown.failure("toy/delivery")) == (1, True), unknown.out
    line = ["docker", "--config", str(login.parent), "login", "--username=team", "--password-stdin", closed]
    subprocess.run(line, input="let me in", text=True, check=True)
    refused = toy.invoke(*words)
    assert (refused.exit, image(toy)) == (1, before), refused.out
    assert "the registry lets no node pull" in refused.failure("toy/release")
    key = f"--from-file=.dockerconfigjson={login}"
    toy.kubectl("create", "secret", "generic", "pull", "--type=kubernetes.io/dockerconfigjson", key)
    toy.kubectl("patch", "serviceaccount", "default", '--patch={"imagePullSecrets": [{"name": "pull"}]}')
    done = toy.invoke(*words)
    assert done.exit == 0, done.out
    assert image(toy).startswith(f"{closed}/team/{toy.name}/toy@sha256:")
    assert toy.invoke(*words, "--plan").exit == 0


def test_followed_logs_name_their_pods_and_take_up_a_new_one(toy: Toys) -> None:
    old = {one["name"] for one in toy.settled()["containers"]}
    words = toy.command("logs", "--service", "toy", "--follow")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    seen: set[str] = set()
    for line in process.stdout:
        seen.add(line.split(" ", 1)[0])
        if seen >= old:
            break
    assert seen >= old
    toy.kubectl("delete", "pod", min(old), "--wait=false")
    for line in process.stdout:
        if (name := line.split(" ", 1)[0]) not in old:
            assert "the toy listens" in line, line
            assert name.startswith("toy-")
            break
    else:
        pytest.fail("no line of a new pod came within two minutes")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) in {0, 130}
    watchdog.cancel()


OWN = """
apiVersion: v1
kind: ConfigMap
metadata: {name: extra}
data: {a: b}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: extra}
spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}
"""


def test_a_services_own_manifests_of_any_kind_are_applied_and_deleted_with_its_release(toy: Toys) -> None:
    own = toy.service / "manifests" / "extra.yaml"
    own.parent.mkdir()
    own.write_text(OWN)
    toy.kubectl("create", "configmap", "foreign")
    assert toy.deploy().exit == 0
    assert toy.object("configmap", "extra")["data"] == {"a": "b"}
    assert toy.object("networkpolicy", "extra")["spec"]["ingress"] == [{}]
    assert toy.deploy("--plan").exit == 0
    toy.kubectl("patch", "networkpolicy", "extra", "--type=merge", '--patch={"spec": {"ingress": null}}')
    plan = toy.deploy("--plan")
    assert (plan.exit, "NetworkPolicy extra" in plan.out) == (3, True), plan.out
    assert toy.deploy().exit == 0
    assert toy.object("networkpolicy", "extra")["spec"]["ingress"] == [{}]
    shutil.rmtree(own.parent)
    assert toy.deploy().exit == 0
    assert toy.object("configmap", "extra") == toy.object("networkpolicy", "extra") == {}
    assert toy.object("configmap", "foreign")


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\n"


def test_a_secret_of_the_services_own_is_applied_changed_reverted_and_restored(toy: Toys) -> None:
    own = toy.service / "manifests" / "own.yaml"
    own.parent.mkdir()

    def value() -> str:
        import base64

        return base64.b64decode(toy.object("secret", "own")["data"]["A"]).decode()

    try:
        for form in ("data: {A: b25l}\n", "stringData: {A: two}\n"):
            own.write_text(SECRET + form)
            assert toy.deploy().exit == 0
            assert toy.deploy("--plan").exit == 0
        assert value() == "two"
        toy.kubectl("patch", "secret", "own", '--patch={"stringData": {"A": "by hand", "B": "more"}}')
        assert "its values were changed" in toy.deploy("--plan").out
        assert toy.deploy().exit == 0
        assert toy.object("secret", "own")["data"].keys() == {"A"}
        own.write_text(SECRET + "stringData: {A: three}\n")
        toy.fault("crash")
        assert toy.deploy().exit == 1
        assert value() == "two"
        assert "two" not in toy.invoke("render").out
    finally:
        shutil.rmtree(own.parent)


def test_what_only_a_failed_release_had_is_deleted_again(toy: Toys) -> None:
    own = toy.service / "manifests" / "extra.yaml"
    own.parent.mkdir()
    own.write_text(OWN)
    try:
        toy.write(autoscale={"max": 4}, env={"FAULT": "crash"})
        assert toy.deploy().exit == 1
        assert toy.object("networkpolicy", "extra") == toy.object("hpa") == {}
        assert toy.status()["ready"] == 2
    finally:
        shutil.rmtree(own.parent)


def test_an_object_that_somebody_else_created_is_refused_and_stays(toy: Toys) -> None:
    toy.kubectl("create", "configmap", "extra", "--from-literal=theirs=1")
    own = toy.service / "manifests" / "extra.yaml"
    own.parent.mkdir()
    own.write_text(OWN)
    try:
        done = toy.deploy()
        assert "ConfigMap extra already exists" in done.failure("toy/release")
        assert toy.object("configmap", "extra")["data"] == {"theirs": "1"}
    finally:
        shutil.rmtree(own.parent)
        toy.kubectl("delete", "configmap", "extra")


def test_storage_outlives_pods_and_down_and_ends_with_purge(toy: Toys) -> None:
    toy.write(storage={"data": {"path": "/data", "size": "10Mi"}}, replicas=1)
    done = toy.deploy()
    assert (done.exit, done.steps["storage"]) == (0, "changed"), done.out
    assert toy.object("pvc", "toy-data")["status"]["phase"] == "Bound"
    folder = f"/var/lib/slipway/volumes/{toy.name}/toy-data"
    node = ("docker", "exec", "minikube")
    subprocess.run((*node, "touch", f"{folder}/kept"), check=True)
    pod = toy.object("pod", toy.settled()["containers"][0]["name"])
    assert {"name": "data", "mountPath": "/data"} in pod["spec"]["containers"][0]["volumeMounts"]
    assert toy.invoke("deploy", "--plan").exit == 0
    assert toy.invoke("down").exit == 0
    assert toy.deploy().exit == 0
    assert subprocess.run((*node, "test", "-f", f"{folder}/kept"), check=False).returncode == 0
    assert toy.invoke("down", "--purge").exit == 0
    assert subprocess.run((*node, "test", "-e", folder), check=False).returncode == 1
    assert toy.kubectl("get", "pv", "--output=name", f"--selector=app.kubernetes.io/part-of={toy.name}") == ""


class TestTheContractOfDeployers(DeployerContract):
    @pytest.fixture
    def made(self, toys: Toys) -> Iterator[Subject]:
        """A namespace of its own; the toy's image is in the node."""
        name, checks = f"t{secrets.token_hex(4)}", FakeCheckRunner()
        cluster = Client(KubeContext("minikube"))
        scope = NamespaceScope(cluster, name, name, LocalHost(), FakeClusterChecks(checks), "ann")
        project = ProjectNamespace(scope, Probe(lambda: read(cluster, name, name)))
        project.create(null_reporter())
        settings = {**SERVICE, "name": "web", "replicas": 1, "secrets": {}, "checks": []}
        service = Service.model_validate(settings).model_copy(update={"checks": (CHECK,)})
        made = deployments(project)
        storage: dict[str, Storage] = {}  # this namespace has no volumes; the walk has some
        yield Subject(made, desired_release(made, service, image(toys)), checks, storage)
        cluster.delete(namespace(name, name))


def test_an_incomplete_cluster_is_repaired_by_a_deploy(toys: Toys) -> None:
    assert toys.invoke("cluster.delete").exit == 0
    words = toys.command("cluster.start")
    starting = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    with pytest.raises(subprocess.TimeoutExpired):
        starting.wait(9)
    os.killpg(starting.pid, signal.SIGKILL)
    starting.wait()  # what it had begun, minikube itself, goes on alone: a deploy waits for it
    done = toys.invoke("deploy", "--output", "json", timeout=600)
    assert done.exit == 0, done.out
    assert toys.status()["ready"] == 2


def test_a_cluster_that_was_deleted_by_hand_is_created_again_and_not_from_what_is_left_of_it(toys: Toys) -> None:
    subprocess.run(["docker", "rm", "--force", "minikube"], check=True)
    for folder in ("profiles", "machines"):
        shutil.rmtree(Path.home() / ".minikube" / folder / "minikube")
    toys.kubectl("config", "delete-context", "minikube")
    assert "minikube" in subprocess.check_output(["docker", "volume", "ls", "--quiet"], text=True).split()
    done = toys.deploy()
    assert done.exit == 0, done.out
    assert "incomplete cluster" not in done.out
    assert "all traces" not in done.out  # minikube's word on a removal, which it says where there was nothing, too
    assert toys.status()["ready"] == 2
