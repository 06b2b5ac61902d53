"""Which kubectl and minikube will do, how the cluster is started, and what a bundle says of itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.config.models import Cluster
from slipway.config.versions import Binary
from slipway.engine.events import Event, Output, Progress
from slipway.engine.steps import Cancel, Reporter, null_reporter
from slipway.errors import Problem, UsageError
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.installers import curl, minikube
from slipway.installers.bundle import Bundle, local
from slipway.installers.minikube import Events, enrolled, files_differ, room, start, tool_differs

ROOT = Path(__file__).resolve().parents[3]
CLUSTER = Cluster()
TOOL = Binary(version="1.38.1", minimum="1.34.0", platforms={})


def facts(**changes: object) -> Facts:
    return Facts(kernel="Linux", arch="x86_64", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("minikube", "", "minikube is not installed"),
        ("minikube", "1.33.1", "minikube 1.33.1 is older than 1.34.0"),
        ("minikube", "1.38.1", None),
        ("minikube", "what?", "minikube says that it is 'what?'"),
        ("kubectl", "1.33.9", None),
        ("kubectl", "1.35.0", None),
        ("kubectl", "1.36.0", "more than one minor version"),
        ("kubectl", "1.32.0", "more than one minor version"),
    ],
)
def test_which_programs_will_do(name: str, version: str, reason: str | None) -> None:
    found = tool_differs(facts(tools={name: version} if version else {}), name, TOOL, CLUSTER)
    assert (found is None) if reason is None else (found is not None and reason in found.reason)


def test_a_cluster_is_started_as_the_environment_says_and_offline_from_a_bundles_node() -> None:
    words = start(CLUSTER, (), root=False).argv
    assert {"--driver=docker", "--container-runtime=containerd", "--kubernetes-version=v1.34.4"} <= set(words)
    assert "--memory=4096mb" in words
    assert "--force" not in words
    assert "--base-image" not in words
    offline = start(CLUSTER, {local("node")}, root=True).argv
    assert offline[offline.index("--base-image") + 1] == local("node")
    assert {"--preload=false", "--install-addons=false", "--force"} <= set(offline)


def test_minikube_runs_under_a_group_that_was_joined_a_moment_ago() -> None:
    command = start(CLUSTER, (), root=False)
    joined = enrolled(command, facts(uid=1000, groups=("deploy",), enrolled=("deploy", "docker")))
    assert joined.argv == ("sg", "docker", "-c", command.line)
    assert enrolled(command, facts(uid=1000, groups=("docker",), enrolled=("docker",))) is command
    assert enrolled(command, facts(uid=0)) is command


def test_too_small_a_machine_is_told_with_the_figures() -> None:
    room(facts(memory=8 * 2**30, cpus=2, disk=50 * 2**30), CLUSTER)
    with pytest.raises(Problem) as raised:
        room(facts(memory=2 * 2**30, cpus=1, disk=5 * 2**30), CLUSTER)
    for text in ("memory: 2.0 GiB free, 4.5 GiB wanted", "CPUs: 1 here, 2 wanted", "disk: 5.0 GiB free"):
        assert text in raised.value.details


def test_minikubes_events_are_progress_and_its_advice_is_kept() -> None:
    heard: list[Event] = []
    events = Events(Reporter("cluster", heard.append, Cancel()), [])
    step = {
        "type": "io.k8s.sigs.minikube.step",
        "data": {"currentstep": "3", "totalsteps": "19", "message": "Starting"},
    }
    error = {"type": "io.k8s.sigs.minikube.error", "data": {"message": "no room", "advice": "make room", "name": "X"}}
    for line in (json.dumps(step), json.dumps(error), "plain words"):
        events.hear(Output("cluster", "stdout", line))
    assert Progress("cluster", 3.0, 19.0, "steps") in heard
    assert (events.errors, events.advice) == (["no room"], "make room")
    assert Output("cluster", "stdout", "plain words") in heard


def bundle(folder: Path, content: bytes = b"kubelet") -> Bundle:
    (folder / "cluster").mkdir()
    (folder / "cluster" / "kubelet").write_bytes(content)
    file = {
        "name": "kubelet",
        "version": "1.34.4",
        "platform": "linux/amd64",
        "path": "cluster/kubelet",
        "sha256": hashlib.sha256(b"kubelet").hexdigest(),
        "purpose": "cluster",
    }
    (folder / "bundle.yaml").write_text(json.dumps({"files": [file]}))
    return Bundle(folder)


def test_a_bundle_names_every_bad_and_missing_file(tmp_path: Path) -> None:
    found = bundle(tmp_path)
    assert found.faults(null_reporter()) == []
    (tmp_path / "cluster" / "kubelet").write_bytes(b"tampered")
    assert "cluster/kubelet has sha256" in found.faults(null_reporter())[0]
    with pytest.raises(Problem, match="cluster/kubelet has sha256"):
        found.find("cluster", "kubelet", "linux/amd64")
    (tmp_path / "cluster" / "kubelet").unlink()
    assert found.faults(null_reporter()) == ["cluster/kubelet is missing"]


def test_a_folder_without_a_manifest_or_with_a_faulty_one_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(Problem) as raised:
        Bundle(tmp_path)
    assert isinstance(raised.value, UsageError)
    (tmp_path / "bundle.yaml").write_text("files: [{name: x, nome: y}]\n")
    with pytest.raises(Problem) as raised:
        assert Bundle(tmp_path).files
    assert "unknown key" in raised.value.details


def test_minikubes_cache_lacks_what_the_bundle_has(tmp_path: Path) -> None:
    found = files_differ(facts(), bundle(tmp_path), CLUSTER)
    assert found is not None
    assert "kubelet" in found.reason
    assert files_differ(facts(kubernetes={"v1.34.4": ("kubelet",)}), Bundle(tmp_path), CLUSTER) is None


def test_what_asks_and_what_reaches_a_cluster_of_others_is_wanted_where_it_lacks() -> None:
    config = load(ROOT)
    for known, lacking in (
        (facts(), {"curl is not installed", "kubectl is not installed"}),
        (facts(has=frozenset({"curl"}), tools={"kubectl": "1.20.0"}), set()),
    ):
        host = FakeHost("this-machine", known)
        steps = [*curl.steps(host), *minikube.kubectl(host, config.tools, None)]
        assert {change.reason for step in steps if (change := step.check(known))} == lacking
