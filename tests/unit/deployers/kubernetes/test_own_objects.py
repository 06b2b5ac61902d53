"""A service's own objects outside its namespace: applied where they belong, and removed only by whose they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.errors import Problem
from slipway.kubernetes.manifests.namespace import namespace
from tests.unit.deployers.kubernetes.test_releases import Deploys
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: SCOPE
  names: {kind: Widget, plural: widgets}
  versions: [{name: v1, served: true, storage: true}]
"""
WIDGET = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 1}\n"
VOLUME = "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: pv0}\nspec: {capacity: {storage: 1Gi}}\n"
CLASS = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast, namespace: hh}\nprovisioner: x\n"
MONITOR = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dashboard, namespace: monitoring}\ndata: {A: b}\n"


def deploys(folder: Path, cluster: FakeCluster, where: str, *manifests: str) -> Deploys:
    """Deploys to a namespace of a cluster, of a service with these manifests."""
    (folder / where).mkdir()
    made = Deploys(folder / where, cluster, where)
    cluster.apply(namespace("hh", where))
    for number, text in enumerate(manifests):
        (made.folder / "manifests" / f"{number}.yaml").write_text(text)
    return made


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def live(cluster: FakeCluster, kind: str, name: str) -> Json:
    return cluster.objects[kind, name]


def test_objects_of_kinds_without_a_namespace_are_applied_at_cluster_scope(
    tmp_path: Path, cluster: FakeCluster
) -> None:
    one = deploys(tmp_path, cluster, "hh", VOLUME, CLASS)
    wanted = one.deploy(1)
    for kind, name in (("PersistentVolume", "pv0"), ("StorageClass", "fast")):
        assert "namespace" not in live(cluster, kind, name)["metadata"]
    assert one.deployer.differs(one.facts, wanted) is None
    one.cluster.by_hand("StorageClass", "fast", "kubectl-edit", {"provisioner": "y"})
    assert "StorageClass fast: provisioner is y instead of x" in str(one.deployer.differs(one.facts, wanted))


def test_an_object_of_another_namespace_stays_there_and_goes_with_down(tmp_path: Path, cluster: FakeCluster) -> None:
    one = deploys(tmp_path, cluster, "hh", MONITOR)
    wanted = one.deploy(1)
    assert live(cluster, "ConfigMap", "monitoring/dashboard")["metadata"]["namespace"] == "monitoring"
    assert one.deployer.differs(one.facts, wanted) is None
    one.operations.down(["web"], one.say)
    assert ("ConfigMap", "monitoring/dashboard") not in cluster.objects


@pytest.mark.parametrize("scope", ["Cluster", "Namespaced"])
def test_a_definition_is_applied_first_and_its_objects_follow_in_one_deploy(
    tmp_path: Path, cluster: FakeCluster, scope: str
) -> None:
    one = deploys(tmp_path, cluster, "hh", WIDGET, WIDGETS.replace("SCOPE", scope))
    wanted = one.deploy(1)
    applied = [change for change in cluster.changes if "idget" in change]
    assert applied == [
        "apply CustomResourceDefinition widgets.example.org",
        "apply Widget.example.org w",
    ]
    assert ("namespace" in live(cluster, "Widget.example.org", "w")["metadata"]) is (scope == "Namespaced")
    assert one.deployer.differs(one.facts, wanted) is None
    one.operations.down(["web"], one.say)
    assert not [kind for kind, _ in cluster.objects if "Widget" in kind or kind == "CustomResourceDefinition"]


def test_a_definition_with_objects_of_others_stays_and_that_is_told(tmp_path: Path, cluster: FakeCluster) -> None:
    one = deploys(tmp_path, cluster, "hh", WIDGET, WIDGETS.replace("SCOPE", "Namespaced"))
    one.deploy(1)
    theirs: dict[str, Any] = {"apiVersion": "example.org/v1", "kind": "Widget"}
    cluster.create({**theirs, "metadata": {"name": "theirs", "namespace": "elsewhere"}})
    one.operations.down(["web"], one.say)
    assert ("CustomResourceDefinition", "widgets.example.org") in cluster.objects
    assert ("Widget.example.org", "w") not in cluster.objects
    said = "CustomResourceDefinition widgets.example.org stays: others have objects of it: elsewhere/theirs"
    assert said in one.heard


def test_a_failed_first_release_takes_its_definition_with_it(tmp_path: Path, cluster: FakeCluster) -> None:
    one = deploys(tmp_path, cluster, "hh", WIDGET, WIDGETS.replace("SCOPE", "Cluster"))
    one.fails(1)
    assert {kind for kind, _ in cluster.objects} == {"Namespace"}


def test_two_environments_of_a_project_do_not_remove_each_others_objects(tmp_path: Path, cluster: FakeCluster) -> None:
    staging = deploys(tmp_path, cluster, "staging", CLASS.replace("fast", "of-staging"))
    production = deploys(tmp_path, cluster, "production", CLASS.replace("fast", "of-production"))
    staging.deploy(1)
    production.deploy(1)
    staging.state.forget()
    staging.operations.down(["web"], staging.say)
    assert ("StorageClass", "of-staging") not in cluster.objects
    assert ("StorageClass", "of-production") in cluster.objects


def test_one_object_can_not_belong_to_two_environments(tmp_path: Path, cluster: FakeCluster) -> None:
    deploys(tmp_path, cluster, "staging", CLASS).deploy(1)
    production = deploys(tmp_path, cluster, "production", CLASS)
    with pytest.raises(Problem, match="StorageClass fast belongs to the environment in namespace staging") as raised:
        production.deploy(1)
    assert "remove it from manifests/" in raised.value.hint


def test_data_and_namespaces_of_its_own_stay_when_a_service_is_removed(tmp_path: Path, cluster: FakeCluster) -> None:
    extra = "apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n"
    inside = MONITOR.replace("monitoring", "extra")
    one = deploys(tmp_path, cluster, "hh", inside, extra, VOLUME)
    one.deploy(1)
    assert cluster.changes.index("apply Namespace extra") < cluster.changes.index("apply ConfigMap extra/dashboard")
    one.operations.down(["web"], one.say)
    assert {("Namespace", "extra"), ("PersistentVolume", "pv0")} <= cluster.objects.keys()
    assert ("ConfigMap", "extra/dashboard") not in cluster.objects
    assert "Namespace extra stays with all that is in it: kubectl delete namespace extra" in one.heard
    one.state.forget()
    one.operations.purge(["web"], everything=True, report=one.say)
    assert ("PersistentVolume", "pv0") not in cluster.objects
