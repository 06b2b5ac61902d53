"""What a deploy asks of a cluster before anything is built for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.clusters.context import ContextCluster
from slipway.clusters.lifecycle import NoLifecycle
from slipway.config.models import ClusterSpec, Environment, Service
from slipway.deployers.fake import FakeEnvironment
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.fake import FakeDaemon
from slipway.engine.reporter import null_reporter
from slipway.engine.steps import Precondition, Probe
from slipway.errors import Problem
from slipway.flows.cluster_environment import ClusterEnvironment
from slipway.flows.services import Services
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from tests.unit.clusters.test_kinds import HOST, images
from tests.unit.flows.workspaces import build_machine, project, workspace
from tests.unit.kubernetes.fake_checks import NoChecks


def environment(folder: Path, fake: FakeEnvironment) -> tuple[ClusterEnvironment, Services]:
    config = project(
        folder, [Service(name="auth", image="r/auth:1")], Environment(name="staging", cluster=ClusterSpec())
    )
    work = workspace(config, made=fake.deployments)
    client, daemon = Client(KubeContext("my-cluster")), FakeDaemon()
    cluster = ContextCluster(NoLifecycle("staging"), client, HOST, daemon, images(daemon), lambda: iter(()))
    scope = NamespaceScope(client, "shop", "shop", HOST, NoChecks(), "me")
    namespace = ProjectNamespace(scope, Probe(State))
    return ClusterEnvironment(
        "staging", cluster, "cluster", namespace, fake, work.artifacts, build_machine(), work.build.state,
        images(daemon), lambda: iter(()),
    ), work.services  # fmt: skip


@pytest.mark.parametrize("released", [False, True])
def test_a_missing_registry_is_reported_before_anything_is_built_if_anything_is(
    tmp_path: Path, *, released: bool
) -> None:
    fake = FakeEnvironment(reuses=True)
    made, services = environment(tmp_path, fake)
    if released:
        fake.apply(replace(services["auth"].release.facts(), image="r/auth@sha256:1"), null_reporter())
    platform = next(node for node in made.prepare([services["auth"]], ()) if node.name == "platform")
    assert isinstance(platform, Precondition)
    if released:
        platform.verify({"linux/amd64"})
        return
    with pytest.raises(Problem, match="environment staging names no registry"):
        platform.verify({"linux/amd64"})


def test_nodes_of_another_platform_are_reported_before_anything_is_built(tmp_path: Path) -> None:
    made, services = environment(tmp_path, FakeEnvironment())
    platform = next(node for node in made.prepare([services["auth"]], ()) if node.name == "platform")
    assert isinstance(platform, Precondition)
    with pytest.raises(Problem, match=r"images built here are for linux/amd64, the cluster's nodes for linux/arm64"):
        platform.verify({"linux/arm64"})
