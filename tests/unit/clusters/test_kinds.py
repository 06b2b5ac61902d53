"""Kinds of clusters: whose registry is used, and what a cluster of ours must be."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from slipway.clusters.cluster import Cluster
from slipway.clusters.kinds import ClusterSite, assemble
from slipway.clusters.system_images import SystemImages
from slipway.config.load import load
from slipway.config.models import ClusterSpec
from slipway.config.versions import Images
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.engine.steps import Probe
from slipway.errors import NextCommand, Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from tests.integration.project import ROOT

HOST = FakeHost("h", Facts("Linux", "x86_64"))


def images(daemon: FakeDaemon) -> SystemImages:
    return SystemImages("shop", Images(), daemon, Probe(lambda: daemon.state("shop")))


def with_minikube() -> FakeDaemon:
    daemon = FakeDaemon()
    daemon.images.import_rootfs(b"node", "node", [])
    daemon.containers.start(daemon.containers.create(ContainerSpec("minikube", "node")))
    return daemon


def site(kind: str, daemon: FakeDaemon, context: str = "", registry: str = "") -> ClusterSite:
    return ClusterSite(
        environment="staging",
        kind=kind,
        spec=ClusterSpec(),
        context=context,
        registry=registry,
        namespace="shop",
        host=HOST,
        remote=False,
        images=images(daemon),
        tools=load(ROOT).tools,
        bundle=None,
        prepare=lambda tools: tools(),
        closing=ExitStack(),
    )


def of_context(context: str, daemon: FakeDaemon, registry: str = "") -> Cluster:
    return assemble(site("context", daemon, context, registry))


def minikube(daemon: FakeDaemon | None = None) -> Cluster:
    return assemble(site("minikube", daemon or FakeDaemon()))


@pytest.mark.parametrize(("kind", "tools"), [("context", ["kubectl"]), ("minikube", ["kubectl", "minikube"])])
def test_a_kind_installs_only_what_it_is_used_with(kind: str, tools: list[str]) -> None:
    assert [step.name for step in assemble(site(kind, FakeDaemon())).tools()] == tools


@pytest.mark.parametrize(
    ("cluster", "reached"),
    [
        (of_context("my-cluster", FakeDaemon()), False),
        (of_context("my-cluster", with_minikube()), False),
        (of_context("minikube", FakeDaemon()), False),
        (of_context("minikube", with_minikube()), True),
        (of_context("my-cluster", FakeDaemon(), "r.example.com/team"), True),
        (minikube(), True),
    ],
)
def test_a_context_names_its_registry_unless_it_is_a_minikube_here(cluster: Cluster, reached: bool) -> None:
    if reached:
        cluster.registry(FakeDaemon())
        return
    with pytest.raises(Problem, match="environment staging names no registry"):
        cluster.registry(FakeDaemon())


def test_a_minikube_that_runs_with_another_runtime_is_reported() -> None:
    cluster = minikube()
    cluster.verify(State(runtimes=frozenset({"containerd://1.7.28"})))
    with pytest.raises(Problem, match=r"uses docker://28.4.0, but containerd is wanted"):
        cluster.verify(State(runtimes=frozenset({"docker://28.4.0"})))


@pytest.mark.parametrize(
    ("running", "reason"), [(True, "the cluster's API does not answer"), (False, "the cluster is stopped")]
)
def test_an_outage_of_a_minikube_is_explained_by_the_state_of_its_node(running: bool, reason: str) -> None:
    daemon = with_minikube()
    if not running:
        daemon.containers.stop("minikube", 1)
    outage = minikube(daemon).lifecycle.outage()
    assert outage is not None
    assert (outage.reason, outage.commands) == (reason, (NextCommand("cluster.start", {"env": "staging"}),))
    absent = minikube().lifecycle.outage()
    assert absent is not None
    assert (absent.reason, absent.commands) == ("there is no cluster", ())


def test_a_cluster_that_others_made_is_not_ours_to_manage() -> None:
    with pytest.raises(Problem, match="there is no Minikube behind environment staging") as raised:
        of_context("my-cluster", FakeDaemon()).lifecycle.ensure_managed()
    assert raised.value.hint == "name an environment with a Minikube"  # the one of this machine has no file
