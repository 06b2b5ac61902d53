"""How long a pod that no Deployment has is waited for, and what is said meanwhile."""

from __future__ import annotations

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.kubernetes import pod_wait, rollout
from slipway.kubernetes.pod_wait import runs, wait_for_pod
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json

GRACE = 0.1
SCALES = "waiting: the cluster's autoscaler is adding a node: group 1->2"


class Scaling(FakeCluster):
    """A cluster in which a pod has no node for so many looks, and whose autoscaler adds one, or not."""

    def __init__(self, looks: int, reason: str) -> None:
        super().__init__()
        self.looks = looks
        about = {"reason": reason, "message": "group 1->2", "involvedObject": {"name": "p"}}
        self.create({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "hh"}, **about})

    def get(self, *_: str | None) -> Json | None:
        self.looks -= 1
        waiting = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]}
        status = {"phase": "Running"} if self.looks < 0 else {"phase": "Pending", **waiting}
        requests = {"resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
        spec = {"containers": [{"name": "web", **requests}]}
        return {"metadata": {"name": "p", "namespace": "hh"}, "spec": spec, "status": status}


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    monkeypatch.setattr(rollout, "GRACE", GRACE)
    monkeypatch.setattr(pod_wait, "LOOK", 0.0)
    monkeypatch.setattr(pod_wait, "POLL", GRACE / 10)
    return []


def told(heard: list[Event]) -> list[str]:
    return [one.text for one in heard if isinstance(one, Output)]


def test_a_node_that_an_autoscaler_adds_for_it_is_waited_for(heard: list[Event]) -> None:
    report = Reporter("web", heard.append, Cancel())
    wait_for_pod(Workload(Scaling(30, "TriggeredScaleUp"), "hh", "hh", "web"), "p", runs, report)
    assert told(heard) == ["p Pending", SCALES]


def test_without_one_it_is_an_error_with_its_cause(heard: list[Event]) -> None:
    report = Reporter("web", heard.append, Cancel())
    with pytest.raises(Problem) as raised:
        wait_for_pod(Workload(Scaling(10_000, "NotTriggerScaleUp"), "hh", "hh", "web"), "p", runs, report)
    assert raised.value.summary == "web: no node has room: a pod asks for 0.01 CPUs; Insufficient cpu"
    assert SCALES not in told(heard)
