"""curl on the machine that runs checks: the distribution's own."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Step
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host
from slipway.installers import packages
from slipway.installers.host_step import HostStep


def steps(host: Host) -> Iterator[Step[Facts]]:
    """The step that makes a machine able to run checks."""
    yield InstallCurl(name="curl", title="curl", host=host, limit=host.packages)


class InstallCurl(HostStep):
    """The distribution's package of curl."""

    def check(self, facts: Facts) -> Change | None:
        """Any curl will do."""
        return None if "curl" in facts.has else Change("curl is not installed")

    def apply(self, report: Reporter) -> None:
        """Install the package."""
        packages.install(self.host, ("curl",), report)
