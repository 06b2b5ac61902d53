"""The log lines of a service's pods, and the warnings of its namespace."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from slipway.errors import Problem
from slipway.kubernetes import logs
from slipway.kubernetes.client import Client
from slipway.kubernetes.logs import timestamp, warnings
from slipway.kubernetes.workload import Workload
from tests.unit.kubernetes.fake_cluster import FakeCluster
from tests.unit.kubernetes.rendered import Json


def workload(cluster: Client) -> Workload:
    return Workload(cluster, "hh", "hh", "web")


class Broken(FakeCluster):
    """A cluster that sends these lines in turn, breaks after each, and is away in between; then the pod is gone."""

    def __init__(self, *answers: list[bytes] | None) -> None:
        super().__init__()
        self.answers, self.asked = list(answers), list[str]()

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:  # noqa: ARG002
        self.asked.append(query.get("sinceTime", ""))
        answer = self.answers.pop(0)
        if answer is None:
            raise Problem("the API does not answer")
        yield from answer

    def get(self, *_: str | None) -> Json | None:
        return {} if self.answers else None


def test_followed_lines_come_once_over_breaks_and_as_long_as_the_pod_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "POLL", 0)
    one, two, three = (b"2020-01-01T00:00:00.%d00000000Z %d" % (n, n) for n in (1, 2, 3))
    cluster, heard = Broken([one, two], None, [one, two], None, [one, two, three]), queue.Queue[str]()
    logs._follow(workload(cluster), "p", 10, heard)
    assert list(heard.queue) == ["p 1", "p 2", "p 3"]
    assert cluster.asked[-1] == "2020-01-01T00:00:00.200000000Z"


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.1Z"),
        ("2020-01-01T00:00:00.1Z", "2020-01-01T00:00:00.12Z"),
        ("2020-01-01T00:00:00.9+02:00", "2020-01-01T00:00:01.1+02:00"),
        ("", "2020-01-01T00:00:00Z"),
    ],
)
def test_times_of_lines_are_in_order_however_many_digits_they_have(earlier: str, later: str) -> None:
    assert timestamp(earlier) < timestamp(later)


def test_warnings_are_of_what_is_still_wrong() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def event(pod: str, reason: str, minute: int, kind: str = "Warning") -> Json:
        when = f"2026-11-23T11:{minute:02}:00Z"
        return {"type": kind, "reason": reason, "message": "m", "lastTimestamp": when, "involvedObject": {"name": pod},
                "metadata": {}}  # fmt: skip

    events = [
        event("well", "Unhealthy", 58),
        event("ill", "Unhealthy", 57),
        event("well", "FailedScheduling", 56),
        event("ill", "Unhealthy", 40),  # long ago
        event("ill", "Pulled", 59, "Normal"),
    ]
    assert warnings(events, {"ill"}, now) == ["well: FailedScheduling: m (x1)", "ill: Unhealthy: m (x1)"]
