"""curl on the machine that asks checks: the real one, of the distribution."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.engine.steps import Change, Step, function_step
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, step_prefix
from slipway.installers import packages


def steps(host: Host) -> Iterator[Step[Facts]]:
    """The step that makes a machine able to ask."""
    yield function_step(
        id=f"{step_prefix(host)}/curl",
        title="curl",
        probe=host.probe,
        check=lambda facts: None if "curl" in facts.has else Change("curl is not installed"),
        apply=lambda report: packages.add(host, ("curl",), report),
        lane=host.packages,
    )
