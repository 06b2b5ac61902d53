"""curl on the machine that asks checks: the real one, of the distribution."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, prefix
from slipway.steps import Change, Step
from slipway.tools import packages


def steps(host: Host) -> Iterator[Step[Facts]]:
    """The step that makes a machine able to ask."""
    yield Step(
        id=f"{prefix(host)}/curl",
        title="curl",
        probe=host.probe,
        check=lambda facts: None if "curl" in facts.has else Change("curl is not installed"),
        apply=lambda say: packages.add(host, ("curl",), say),
        lane=host.packages,
    )
