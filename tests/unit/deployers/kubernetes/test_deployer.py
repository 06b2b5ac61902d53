"""What a cluster deployer finds different."""

from __future__ import annotations

import pytest

from slipway.deployers.deployer import Release, Wanted
from slipway.deployers.kubernetes.apply import NamespaceScope
from slipway.deployers.kubernetes.deployer import KubernetesTarget
from slipway.deployers.kubernetes.release_store import State, pack, unpack
from slipway.engine.steps import Probe
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Cluster
from slipway.kubernetes.manifests.labels import MANIFEST, RELEASE, SOURCE
from slipway.kubernetes.manifests.render import for_release
from tests.unit.kubernetes.rendered import Json, deployment, editable, rendered, service


@pytest.mark.parametrize(("status", "reason"), [({"readyReplicas": 1}, None), ({}, "none of its copies is ready")])
def test_a_release_of_which_nothing_is_ready_is_not_what_is_wanted(status: Json, reason: str | None) -> None:
    target = KubernetesTarget(NamespaceScope(Cluster(KubeContext("x")), "hh", "hh", FakeHost("h", Facts("Linux", "x")), str, "me"),
                              Probe(State))  # fmt: skip
    wanted = Wanted(service(), "r/auth@sha256:1", "src", {"KEY": "geheim"}, "me", "")
    marks = {RELEASE: "1", SOURCE: "src", MANIFEST: target._digest(wanted)}
    objects = for_release(rendered(), wanted.image, marks)
    release = Release("auth", 1, wanted.image, "src", marks[MANIFEST], "t", "me", "", {}, service())
    kept = unpack(pack("hh", "hh", release, objects))
    live = editable(objects)
    deployment(live)["status"] = status
    assert target.differs(State(tuple(live), kept=(kept,)), wanted) == reason
