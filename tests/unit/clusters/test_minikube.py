"""How a Minikube is started, and what is made of minikube's own events."""

from __future__ import annotations

import json

import pytest

from slipway.clusters.minikube import Events, in_docker_group, require_capacity, start_command
from slipway.config.models import ClusterSpec
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output, Progress
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.facts import Facts
from slipway.installers.bundle import image_tag

CLUSTER = ClusterSpec()


def facts(**changes: object) -> Facts:
    return Facts(kernel="Linux", arch="x86_64", **changes)  # type: ignore[arg-type]


def test_a_cluster_is_started_as_the_environment_says_and_offline_from_a_bundles_node() -> None:
    words = start_command(CLUSTER, (), facts(uid=1000)).argv
    assert {"--driver=docker", "--container-runtime=containerd", "--kubernetes-version=v1.34.4"} <= set(words)
    assert "--memory=4096mb" in words
    assert "--force" not in words
    assert "--base-image" not in words
    offline = start_command(CLUSTER, {image_tag("node")}, facts(uid=0)).argv
    assert offline[offline.index("--base-image") + 1] == image_tag("node")
    assert {"--preload=false", "--install-addons=false", "--force"} <= set(offline)


@pytest.mark.parametrize(
    ("total", "words"), [(24, ["--extra-config=kubelet.system-reserved=memory=20480Mi"]), (4, []), (0, [])]
)
def test_the_rest_of_the_machines_memory_is_not_the_nodes(total: int, words: list[str]) -> None:
    argv = start_command(CLUSTER, (), facts(total_memory=total * 2**30)).argv
    assert [word for word in argv if "extra-config" in word] == words


def test_minikube_runs_in_a_group_that_the_user_was_added_to_a_moment_ago() -> None:
    command = start_command(CLUSTER, (), facts(uid=1000))
    joined = in_docker_group(command, facts(uid=1000, groups=("deploy",), enrolled=("deploy", "docker")))
    assert joined.argv == ("sg", "docker", "-c", command.line)
    assert in_docker_group(command, facts(uid=1000, groups=("docker",), enrolled=("docker",))) is command
    assert in_docker_group(command, facts(uid=0)) is command


def test_a_machine_that_is_too_small_is_refused_with_the_figures() -> None:
    require_capacity(facts(memory=8 * 2**30, cpus=2, disk=50 * 2**30), CLUSTER)
    with pytest.raises(Problem) as raised:
        require_capacity(facts(memory=2 * 2**30, cpus=1, disk=5 * 2**30), CLUSTER)
    for text in ("memory: 2.0 GiB free, 4.5 GiB wanted", "CPUs: 1 here, 2 wanted", "disk: 5.0 GiB free"):
        assert text in raised.value.details


def test_minikubes_events_are_progress_and_its_errors_and_advice_are_collected() -> None:
    heard: list[Event] = []
    events = Events(Reporter("cluster", heard.append, Cancel()))
    step = {
        "type": "io.k8s.sigs.minikube.step",
        "data": {"currentstep": "3", "totalsteps": "19", "message": "Starting"},
    }
    error = {"type": "io.k8s.sigs.minikube.error", "data": {"message": "no room", "advice": "make room", "name": "X"}}
    for line in (json.dumps(step), json.dumps(error), "plain words"):
        events.emit(Output("cluster", "stdout", line))
    assert Progress("cluster", 3.0, 19.0, "steps") in heard
    assert (events.errors, events.advice) == (["no room"], "make room")
    assert Output("cluster", "stdout", "plain words") in heard
