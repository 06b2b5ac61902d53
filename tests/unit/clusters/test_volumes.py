"""Volumes where a Minikube has no provisioner."""

from __future__ import annotations

import pytest

from slipway.clusters.volumes import NodeVolumes, Volumes
from slipway.docker.fake import FakeDaemon
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from tests.unit.kubernetes.rendered import service


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Volumes(provisioned=True, names=frozenset()), None),
        (Volumes(provisioned=False, names=frozenset({"hh-auth-data"})), None),
        (
            Volumes(provisioned=False, names=frozenset()),
            "the cluster provisions no volumes, and has none for hh-auth-data",
        ),
    ],
)
def test_volumes_are_created_only_where_the_cluster_provisions_none(facts: Volumes, reason: str | None) -> None:
    storage = NodeVolumes(Client(KubeContext("minikube")), FakeDaemon(), "minikube", "hh", "hh")
    change = storage.differs(facts, [service(storage={"data": {"path": "/data"}})])
    assert (change.reason if change else None) == reason
