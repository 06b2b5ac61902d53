"""The user in group `docker`, whose members may use the daemon's socket."""

from __future__ import annotations

from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change
from slipway.hosts.facts import Facts
from slipway.hosts.host import Privilege, script
from slipway.installers.docker.support import require_supported
from slipway.installers.host_step import HostStep


class JoinDockerGroup(HostStep):
    """The user's membership in group `docker`."""

    def check(self, facts: Facts) -> Change | None:
        """Whether the user database lists the user as a member."""
        return group_differs(facts)

    def apply(self, report: Reporter) -> None:
        """Create the group where it is missing, and add the user."""
        user = self.host.probe.facts().user
        create = "getent group docker >/dev/null || groupadd --system docker"
        text = f"export PATH=$PATH:/usr/sbin:/sbin; {create}; usermod -aG docker {user}"
        result = self.host.run(script(text, privilege=Privilege.ROOT, timeout=30), report)
        result.raise_for_status(f"{user} could not be added to group docker")
        report.note(f"{user} is in group docker now, which equals root on this machine; this run continues with it")


def group_differs(facts: Facts) -> Change | None:
    """Why the user must be added to group docker, whose members can do all that root can; or None.

    Raises UsageError where Docker is not supported.
    """
    require_supported(facts)
    if facts.root or facts.kernel != "Linux" or "docker" in facts.enrolled:
        return None
    return Change(f"{facts.user} is not in group docker (membership equals root)")
