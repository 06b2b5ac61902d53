"""Rights on one namespace are enough: what is refused beyond it never stops a deploy, nor hides why one fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.deployers.kubernetes import status
from slipway.errors import ApiRefused, Problem
from slipway.kubernetes import rollout
from slipway.kubernetes.manifests.labels import labels
from slipway.kubernetes.objects import Object
from slipway.kubernetes.snapshot import read_full_snapshot, read_snapshot
from slipway.kubernetes.workload import Workload
from tests.unit.deployers.kubernetes.test_releases import Deploys
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json


@pytest.fixture
def deploys(tmp_path: Path) -> Deploys:
    made = Deploys(tmp_path)
    made.cluster.one_namespace = True
    return made


def test_a_deploy_its_status_its_rollback_and_down_need_nothing_outside_the_namespace(deploys: Deploys) -> None:
    wanted = deploys.deploy(1)
    assert deploys.facts.namespace
    assert deploys.deployer.differs(deploys.facts, wanted) is None
    found = deploys.deployments.status
    assert [one.name for one in found.services()] == ["web"]
    assert (found.nodes(), found.warnings(), status.platforms(deploys.cluster)) == ([], [], None)
    deploys.fails(2)
    deploys.deploy(3)
    deploys.rollback(1)
    assert deploys.image == "r/web@sha256:1"
    deploys.operations.down(["web"], deploys.say)
    assert ("Deployment", "web") not in deploys.cluster.objects


def broken(cluster: FakeCluster, waiting: Json, **conditions: Any) -> None:
    """A Deployment with a pod that does not start."""
    meta = {"name": "web", "namespace": "hh", "labels": labels("hh", "web")}
    container = {"name": "web", "image": "r/web:1", "resources": {"requests": {"cpu": "2"}}}
    template = {"spec": {"containers": [container]}}
    cluster.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"template": template}})
    own = {**meta, "name": "web-1", "annotations": {}}
    cluster.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {**own, "uid": "u"}})
    pod = {"metadata": {**own, "ownerReferences": [{"uid": "u"}]}, "spec": {"containers": [container]}}
    state = {"containerStatuses": [{"name": "web", "state": {"waiting": waiting}}]} if waiting else {}
    cluster.create({"apiVersion": "v1", "kind": "Pod", **pod, "status": {**state, **conditions}})


def test_the_cause_of_a_failed_rollout_is_told_where_nodes_can_not_be_listed() -> None:
    cluster = FakeCluster()
    broken(cluster, {"reason": "ImagePullBackOff", "message": "r/web:1: not found"})
    cluster.one_namespace = True
    workload = Workload(cluster, "hh", "hh", "web")
    problem = rollout.failure("web", read_full_snapshot(workload), "0 of 1 new pods are available")
    assert problem.summary == "web: image r/web:1 is absent: r/web:1: not found"


def test_a_pod_without_room_is_told_in_the_schedulers_words_where_nodes_can_not_be_listed() -> None:
    cluster = FakeCluster()
    message = "0/3 nodes are available: 3 Insufficient cpu."
    broken(cluster, {}, conditions=[{"type": "PodScheduled", "status": "False", "message": message}])
    cluster.one_namespace = True
    workload = Workload(cluster, "hh", "hh", "web")
    problem = rollout.failure("web", read_full_snapshot(workload), "0 of 1 new pods are available")
    assert problem.summary == f"web: no node has room: a pod asks for 2.00 CPUs; {message}"


@pytest.mark.parametrize("waits", [False, True])
def test_the_size_of_the_nodes_is_read_while_a_pod_waits_for_one(waits: bool) -> None:
    cluster = FakeCluster()
    cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    broken(cluster, {}, conditions=[{"type": "PodScheduled", "status": str(not waits)}])
    assert bool(read_snapshot(Workload(cluster, "hh", "hh", "web")).nodes) is waits


@pytest.mark.parametrize("kind", ["Event", "ReplicaSet", "Secret"])
@pytest.mark.parametrize("status", [403, 500])
def test_a_list_that_is_refused_hides_no_cause(kind: str, status: int) -> None:
    class Refusing(FakeCluster):
        def list(self, api_version: str, asked: str, namespace: str | None, selector: str = "") -> list[Object]:
            if asked == kind:
                raise ApiRefused("no", status=status)
            return super().list(api_version, asked, namespace, selector)

        def get(self, api_version: str, asked: str, name: str, namespace: str | None = None) -> Json | None:
            if asked == kind:
                raise ApiRefused("no", status=status)
            return super().get(api_version, asked, name, namespace)

    from slipway.engine.reporter import null_reporter

    cluster = Refusing()
    broken(cluster, {"reason": "CreateContainerConfigError", "message": 'secret "key" not found'})
    cluster.broken.add("r/web:1")
    with pytest.raises(Problem, match='the container can\'t be configured: secret "key" not found'):
        rollout.wait(Workload(cluster, "hh", "hh", "web"), null_reporter())
