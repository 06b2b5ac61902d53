"""What a cluster deployer finds different."""

from __future__ import annotations

import pytest

from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.kubernetes.deployer import KubernetesDeployer
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State, pack, unpack
from slipway.deployers.release import Release
from slipway.engine.steps import Probe
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.labels import MANIFEST, RELEASE, SOURCE
from slipway.kubernetes.manifests.render import for_release
from tests.unit.kubernetes.fake_checks import FakeClusterChecks
from tests.unit.kubernetes.rendered import Json, deployment, editable, rendered, service


@pytest.mark.parametrize(("status", "reason"), [({"readyReplicas": 1}, None), ({}, "none of its copies is ready")])
def test_a_release_without_a_ready_copy_differs_from_the_desired_one(status: Json, reason: str | None) -> None:
    host = FakeHost("h", Facts("Linux", "x"))
    scope = NamespaceScope(Client(KubeContext("x")), "hh", "hh", host, FakeClusterChecks(), "me")
    deployer, secrets = KubernetesDeployer(ProjectNamespace(scope, Probe(State))), {"KEY": "geheim"}
    manifest = deployer.render(service(), secrets)
    wanted = DesiredRelease(service(), "src", secrets, manifest, "me", "r/auth@sha256:1")
    marks = {RELEASE: "1", SOURCE: "src", MANIFEST: manifest.digest}
    objects = for_release(rendered(), wanted.image, marks)
    release = Release("auth", 1, wanted.image, "src", marks[MANIFEST], "t", "me", "", {}, service())
    kept = unpack(pack("hh", "hh", release, objects))
    live = editable(objects)
    deployment(live)["status"] = status
    assert deployer.differs(State(tuple(live), stored=(kept,)), wanted) == reason
