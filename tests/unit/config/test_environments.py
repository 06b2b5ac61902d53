"""Where an environment says that its services run."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.config.models import ClusterSpec, ContextSpec, Environment
from tests.unit.config.test_load import PLAIN, errors, service

MINIKUBE = {"kind": "minikube", "host": "box1", "cpus": 3}


@pytest.fixture
def environments(team: Path) -> Path:
    service(team, "web", PLAIN)
    (team / "config" / "hosts.yaml").write_text("hosts: {box1: {address: 203.0.113.7}}\n")
    folder = team / "config" / "environments"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("environment", "on_docker", "host", "location"),
    [
        (Environment(name="local"), True, None, "this machine's Docker, one container per service"),
        (Environment(name="minikube"), False, None, "a Minikube on this machine"),
        (Environment(name="a", docker="here"), True, None, "this machine's Docker, one container per service"),
        (Environment(name="a", docker="box1"), True, "box1", "the Docker of SSH host box1, one container per service"),
        (Environment(name="a", cluster=ClusterSpec(host="box1")), False, "box1", "a Minikube on SSH host box1"),
        (Environment(name="a", cluster=ContextSpec(context="c")), False, None, "kubeconfig context c"),
    ],
)
def test_where_services_run(environment: Environment, on_docker: bool, host: str | None, location: str) -> None:
    assert (environment.on_docker, environment.host, environment.location) == (on_docker, host, location)


def test_a_cluster_is_a_minikube_unless_it_says_another_kind(environments: Path, team: Path) -> None:
    (environments / "a.yaml").write_text("cluster: {host: box1, cpus: 3}\n")
    (environments / "b.yaml").write_text("cluster: {kind: context, context: c, registry: r/team}\n")
    found = load(team).environments
    assert found["a"].cluster_spec == ClusterSpec(host="box1", cpus=3)
    assert (found["b"].context, found["b"].registry, found["b"].host) == ("c", "r/team", None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "services: {}\nhost: box1\ncluster: {cpus: 3}\n",
            "config/environments/a.yaml:2: host belongs to the cluster · write `cluster: {kind: minikube, host: box1,",
        ),
        (
            "context: c\n",
            "config/environments/a.yaml:1: context belongs to the cluster · write `cluster: {kind: context, context: c}`",
        ),
        (
            "docker: here\ncluster: {}\n",
            "config/environments/a.yaml:1: the file: use either docker or cluster, not both",
        ),
        ("protected: true\n", "config/environments/a.yaml:1: the file: where do its services run? `docker: here`"),
        (
            "proxy: true\ncluster: {}\n",
            "config/environments/a.yaml:1: the file: `proxy` is for a Docker: a cluster replaces copies without a gap",
        ),
        ("cluster: {kind: swarm}\n", "config/environments/a.yaml:1: cluster must be one of '{kind: minikube}', "),
        ("docker: box2\n", "config/environments/a.yaml:1: box2 is not in hosts.yaml · did you mean box1?"),
        ("cluster: {host: box2}\n", "config/environments/a.yaml:1: box2 is not in hosts.yaml"),
        ("cluster:\n  cpus: 1\n", "config/environments/a.yaml:2: cluster.cpus must be at least 2"),
    ],
)
def test_an_environment_that_says_it_wrong_is_refused(environments: Path, team: Path, text: str, error: str) -> None:
    (environments / "a.yaml").write_text(text)
    assert any(line.startswith(error) for line in errors(team)), errors(team)
