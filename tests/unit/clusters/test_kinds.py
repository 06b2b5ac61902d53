"""Kinds of clusters: whose registry is used, and what a cluster of ours must be."""

from __future__ import annotations

import pytest

from slipway.clusters.cluster import Cluster
from slipway.clusters.context import ContextCluster
from slipway.clusters.lifecycle import NoLifecycle
from slipway.clusters.minikube_cluster import MinikubeCluster, MinikubeLifecycle
from slipway.clusters.system_images import SystemImages
from slipway.config.models import Cluster as ClusterSpec
from slipway.config.versions import Images
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.engine.steps import Probe
from slipway.errors import Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Cluster as Client

HOST = FakeHost("h", Facts("Linux", "x86_64"))


def images(daemon: FakeDaemon) -> SystemImages:
    return SystemImages("shop", Images(), daemon, Probe(lambda: daemon.state("shop")))


def with_minikube() -> FakeDaemon:
    daemon = FakeDaemon()
    daemon.images.import_rootfs(b"node", "node", [])
    daemon.containers.start(daemon.containers.create(ContainerSpec("minikube", "node")))
    return daemon


def of_context(context: str, daemon: FakeDaemon, registry: str = "") -> Cluster:
    lifecycle, client = NoLifecycle("staging"), Client(KubeContext(context))
    return ContextCluster(lifecycle, client, HOST, daemon, images(daemon), lambda: iter(()), registry)


def minikube(daemon: FakeDaemon | None = None) -> Cluster:
    daemon = daemon or FakeDaemon()
    state = Probe(lambda: daemon.state("shop"))
    lifecycle = MinikubeLifecycle("staging", HOST, daemon, state, ClusterSpec())
    return MinikubeCluster(lifecycle, None, images(daemon), lambda: iter(()), remote=False)


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


def test_a_minikube_that_runs_with_another_runtime_is_told() -> None:
    cluster = minikube()
    cluster.verify(State(runtimes=frozenset({"containerd://1.7.28"})))
    with pytest.raises(Problem, match=r"uses docker://28.4.0, but containerd is wanted"):
        cluster.verify(State(runtimes=frozenset({"docker://28.4.0"})))


@pytest.mark.parametrize(
    ("running", "reason"), [(True, "the cluster's API does not answer"), (False, "the cluster is stopped")]
)
def test_an_outage_of_a_minikube_is_told_from_its_node(running: bool, reason: str) -> None:
    daemon = with_minikube()
    if not running:
        daemon.containers.stop("minikube", 1)
    outage = minikube(daemon).lifecycle.outage()
    assert outage is not None
    assert (outage.reason, outage.start) == (reason, "./invoke cluster.start --env staging")
    absent = minikube().lifecycle.outage()
    assert absent is not None
    assert (absent.reason, absent.start) == ("there is no cluster", "")


def test_a_cluster_that_others_made_is_not_ours_to_manage() -> None:
    with pytest.raises(Problem, match="there is no Minikube behind environment staging"):
        of_context("my-cluster", FakeDaemon()).lifecycle.ensure_managed()
