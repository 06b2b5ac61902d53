"""When requests to a Service reach the new pods alone."""

from __future__ import annotations

import pytest

from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ApiRefused
from slipway.kubernetes import endpoints
from slipway.kubernetes.endpoints import host_and_port, pod_addresses, wait_until_routed
from slipway.kubernetes.objects import Object
from slipway.kubernetes.snapshot import Snapshot
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster, Json


class Sliced(FakeCluster):
    """A cluster whose Service has other ready endpoints at each look; the last ones stay."""

    def __init__(self, *looks: tuple[str, ...] | None) -> None:
        super().__init__()
        self.looks = list(looks)

    def list(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[Object]:
        assert (api_version, kind, namespace) == ("discovery.k8s.io/v1", "EndpointSlice", "hh")
        assert selector == "kubernetes.io/service-name=web"
        names = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if names is None:
            raise ApiRefused("it was refused", status=403)
        ready = [_endpoint(name, ready=True) for name in names]
        part = {"addressType": "IPv4", "ports": [{"name": "http", "port": 8080}]}
        return [{**part, "endpoints": None}, {**part, "endpoints": [*ready, _endpoint("old", ready=False)]}]


def _endpoint(name: str, *, ready: bool) -> Json:
    conditions = {"ready": ready, "serving": True}
    return {"targetRef": {"kind": "Pod", "name": name}, "conditions": conditions, "addresses": [f"ip-of-{name}"]}


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> tuple[Reporter, list[float]]:
    """What counts the waits, and new pods `a` and `b`."""
    pods: list[Json] = [{"metadata": {"name": name}} for name in "ab"]
    monkeypatch.setattr(endpoints, "read_snapshot", lambda _: Snapshot({}, pods))
    made, waits = null_reporter(), list[float]()
    monkeypatch.setattr(made.cancel, "wait", waits.append)
    return made, waits


@pytest.mark.parametrize(
    ("looks", "polls"),
    [
        ([("a", "b")], 0),
        ([("a",)], 0),
        ([("old", "a", "b"), ("old", "b"), ("a", "b")], 2),
        ([(), ("b",)], 1),  # nobody is asked yet
        ([None], 0),  # nobody may know
        ([("old",)], round(endpoints.TIMEOUT / endpoints.POLL)),
    ],
)
def test_earlier_pods_are_out_of_a_service_before_it_is_asked(
    report: tuple[Reporter, list[float]], looks: list[tuple[str, ...] | None], polls: int
) -> None:
    wait_until_routed(Workload(Sliced(*looks), "hh", "hh", "web"), report[0])
    *before, settled = report[1]
    assert settled == endpoints.SETTLE
    assert abs(len(before) - polls) <= int(polls > 2)  # floats of a hundred polls
    assert set(before) <= {endpoints.POLL}


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        ([("old", "a"), ("a", "b")], ["ip-of-a:8080", "ip-of-b:8080"]),
        ([None], []),  # nobody may know
        ([("old",)], []),
    ],
)
def test_a_services_pods_are_told_once_it_has_no_others(
    report: tuple[Reporter, list[float]], looks: list[tuple[str, ...] | None], found: list[str]
) -> None:
    assert pod_addresses(Workload(Sliced(*looks), "hh", "hh", "web"), report[0]) == found
    assert set(report[1]) <= {endpoints.POLL}


@pytest.mark.parametrize(("host", "at"), [("10.0.0.7", "10.0.0.7:8080"), ("fd00::8", "[fd00::8]:8080")])
def test_an_address_of_ip_6_stands_in_brackets(host: str, at: str) -> None:
    assert host_and_port(host, 8080) == at
