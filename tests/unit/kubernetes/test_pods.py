"""What is told of pods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from slipway.kubernetes.pods import overdue

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def ending(name: str, until: timedelta) -> dict[str, dict[str, str]]:
    """A pod that is to be gone so long from now."""
    return {"metadata": {"name": name, "deletionTimestamp": (NOW + until).strftime("%Y-%m-%dT%H:%M:%SZ")}}


def test_a_pod_that_is_past_its_grace_period_is_told_and_one_that_drains_is_not() -> None:
    drains, late = ending("drains", timedelta(seconds=20)), ending("late", timedelta(seconds=-10))
    stuck = ending("stuck", timedelta(minutes=-3))
    found = overdue([{"metadata": {"name": "runs"}}, drains, late, stuck], NOW)
    assert len(found) == 1
    assert found[0].startswith("Pod stuck should have ended at 2026-11-30T11:57:00Z")
