"""What prevents a host from being prepared, each with a hint."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slipway.hosts.facts import Facts
from slipway.hosts.preflight import MAX_CLOCK_SKEW, MIN_FREE_DISK, find_problems

READY = Facts(kernel="Linux", arch="x86_64", uid=1000, user="deploy", sudo="password", disk=10 * MIN_FREE_DISK)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"kernel": "Darwin"}, "runs Darwin, not Linux"),
        ({"sudo": ""}, "has no sudo"),
        ({"sudo": "", "uid": 0}, ""),
        ({"noexec": True}, "noexec"),
        ({"disk": MIN_FREE_DISK - 1}, "no space left"),
        ({"skew": MAX_CLOCK_SKEW + 1.0}, "ahead"),
        ({"skew": -MAX_CLOCK_SKEW - 1.0}, "behind"),
        ({"skew": MAX_CLOCK_SKEW - 1.0}, ""),
    ],
)
def test_a_host_that_can_not_be_prepared_says_why(changes: dict[str, object], words: str) -> None:
    found = [str(problem) for problem in find_problems("box", replace(READY, **changes))]  # type: ignore[arg-type]
    assert bool(found) == bool(words), found
    assert all(words in text and "hint:" in text for text in found)
