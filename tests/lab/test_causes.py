"""Causes, not symptoms: each produced for real on the cluster, by a Deployment as a service's would be."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.config.models import Service
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem
from slipway.kubernetes import rollout
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.namespace import namespace
from slipway.kubernetes.manifests.render import render
from slipway.kubernetes.objects import Object
from slipway.kubernetes.workload import Workload
from tests.integration.project import ROOT
from tests.lab.sources import program
from tests.lab.toys import SERVICE, Toys

pytestmark = pytest.mark.lab
NAME = "causes"


@pytest.fixture(scope="module")
def workload(toys: Toys) -> Iterator[tuple[Workload, str]]:
    """A namespace of its own, and the reference of the toy's image in the node."""
    cluster = Client(KubeContext("minikube"))
    cluster.apply(namespace(NAME, NAME))
    image = toys.object("deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    yield Workload(cluster, NAME, NAME, "toy"), image
    cluster.delete(namespace(NAME, NAME))


def objects(image: str, name: str = "toy", **changes: Any) -> list[Object]:
    service = Service.model_validate({**SERVICE, "name": name, "replicas": 1, "secrets": {}, **changes})
    return render(NAME, NAME, service, image, {})


def failure(workload: Workload, found: list[Object]) -> Problem:
    """The problem that a rollout of these objects ends with; they are deleted afterwards."""
    try:
        for one in found:
            workload.cluster.apply(one, force=True)
        with pytest.raises(Problem) as raised:
            rollout.wait(workload, null_reporter())
        return raised.value
    finally:
        for one in found:
            workload.cluster.delete(one, grace=0)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "out of memory": ({"env": {"FAULT": "memory"}}, "OOMKilled: it exceeded its memory limit of 32Mi"),
    "crash": ({"env": {"FAULT": "crash"}}, "its last lines: the toy cannot go on: its database is on fire"),
    "nothing listens": ({"env": {"FAULT": "port"}}, "nothing listens on port 8080"),
    "readiness path": ({"env": {"FAULT": "path"}}, "/health/ready answers 404"),
    "name": ({"env": {"FAULT": "dns"}}, "it can't resolve the name nobody.nowhere.svc.cluster.local"),
    "CPU": ({"resources": {"cpu": "9", "memory": "32Mi"}}, "a pod asks for 9.00 CPUs; minikube has"),
    "memory": ({"resources": {"cpu": "10m", "memory": "900Gi"}}, "a pod asks for 921600.00 MiB; minikube has"),
}


@pytest.fixture(scope="module")
def problems(workload: tuple[Workload, str]) -> dict[str, Problem]:
    """What the rollout of each faulty service ended with: all at once, since each gets its while."""

    def one(index: int, changes: dict[str, Any]) -> Problem:
        name = f"faulty-{index}"
        return failure(replace(workload[0], service=name), objects(workload[1], name, **changes))

    with ThreadPoolExecutor(len(FAULTS)) as pool:
        found = [pool.submit(one, index, changes) for index, (changes, _) in enumerate(FAULTS.values())]
        return {name: future.result() for name, future in zip(FAULTS, found, strict=True)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_service_is_named(problems: dict[str, Problem], fault: str) -> None:
    assert FAULTS[fault][1] in problems[fault].summary


def test_an_absent_image_is_named_at_once(workload: tuple[Workload, str]) -> None:
    absent = workload[1].partition("@")[0] + "@sha256:" + "0" * 64
    assert "is absent" in failure(workload[0], objects(absent)).summary


def test_a_missing_secret_is_named_at_once(workload: tuple[Workload, str]) -> None:
    found = json.loads(json.dumps(objects(workload[1])))
    deployment = next(o for o in found if o["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"].append({"secretRef": {"name": "nobody-has-it"}})
    problem = failure(workload[0], found)
    assert "can't be configured" in problem.summary
    assert "nobody-has-it" in problem.summary


def test_a_missing_key_of_a_secret_is_named_at_once(workload: tuple[Workload, str]) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "there", "namespace": NAME},
              "stringData": {"one": "1"}}  # fmt: skip
    workload[0].cluster.apply(secret)
    found = json.loads(json.dumps(objects(workload[1])))
    deployment = next(o for o in found if o["kind"] == "Deployment")
    key = {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "there", "key": "other"}}}
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [key]
    problem = failure(workload[0], found)
    assert "can't be configured" in problem.summary
    assert "key other" in problem.summary


def built(folder: Path, name: str, dockerfile: str) -> str:
    """An image built here and pushed to the registry; its reference in the cluster."""
    (folder / "Dockerfile").write_text(dockerfile)
    tag = f"{NAME}/{name}:1"
    subprocess.run(["docker", "build", "-q", "-t", tag, str(folder)], check=True, capture_output=True)
    port = subprocess.check_output(["docker", "port", "slipway-registry", "5000"], text=True).split(":")[1].strip()
    pushed = f"127.0.0.1:{port}/{tag}"
    subprocess.run(["docker", "tag", tag, pushed], check=True)
    subprocess.run(["docker", "push", "-q", pushed], check=True, capture_output=True)
    return f"slipway-registry:5000/{tag}"


def test_classes_for_a_newer_java_are_named(workload: tuple[Workload, str], tmp_path: Path) -> None:
    subprocess.run([str(ROOT / "invoke"), "image", "--service", "auth"], check=True, capture_output=True)
    listed = ["docker", "images", "-q", "slipway/base-clojure"]
    base = subprocess.check_output(listed, text=True).split()[0]
    (tmp_path / "A.java").write_text("public class A { public static void main(String[] a) {} }")
    subprocess.run(["javac", "A.java"], cwd=tmp_path, check=True)
    compiled = bytearray((tmp_path / "A.class").read_bytes())
    compiled[6:8] = (99).to_bytes(2, "big")  # the major version of a Java that nobody has yet
    (tmp_path / "A.class").write_bytes(compiled)
    entry = 'ENTRYPOINT ["java", "-cp", "/", "A"]'
    image = built(tmp_path, "newer", f"FROM {base}\nCOPY A.class /A.class\nUSER 10001:10001\n{entry}\n")
    problem = failure(workload[0], objects(image, resources={"cpu": "50m", "memory": "128Mi"}))
    assert "its classes are compiled for Java 55, and the image has Java" in problem.summary


def test_a_program_for_another_platform_is_named(workload: tuple[Workload, str], tmp_path: Path) -> None:
    other = bytearray(program("toy").read_bytes())
    other[18:20] = (183).to_bytes(2, "little")  # the ELF header's machine: AArch64
    (tmp_path / "toy").write_bytes(other)
    (tmp_path / "toy").chmod(0o755)
    image = built(tmp_path, "other", 'FROM scratch\nCOPY toy /toy\nUSER 1:1\nENTRYPOINT ["/toy"]\n')
    problem = failure(workload[0], objects(image))
    assert "its program is for another platform" in problem.summary


def test_what_pod_security_refuses_is_named_at_once(workload: tuple[Workload, str]) -> None:
    found = json.loads(json.dumps(objects(workload[1])))
    deployment = next(o for o in found if o["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    problem = failure(workload[0], found)
    assert "Pod Security refuses the pod" in problem.summary
    assert "privileged" in problem.summary


def test_a_quota_is_named_at_once(workload: tuple[Workload, str]) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": NAME},
             "spec": {"hard": {"requests.cpu": "10m"}}}  # fmt: skip
    workload[0].cluster.apply(quota)
    try:
        problem = failure(workload[0], objects(workload[1]))
    finally:
        workload[0].cluster.delete(quota)
    assert "a pod asks for more than a quota of the namespace allows at all" in problem.summary
    assert "requests.cpu" in problem.summary


def test_an_image_that_runs_as_root_is_named_at_once(workload: tuple[Workload, str]) -> None:
    problem = failure(workload[0], objects("registry.k8s.io/etcd:3.6.5-0"))  # which every node has
    assert "image will run as root" in problem.summary
    assert "numeric USER" in problem.hint
