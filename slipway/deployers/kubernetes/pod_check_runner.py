"""Runs a service's checks from a pod: they are sent to a pod of the current release."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from slipway.checks.report import CheckReport
from slipway.checks.runner import CurlRunner, RunCommand
from slipway.checks.script import by_one_shell
from slipway.config.models import Check
from slipway.engine.reporter import Reporter, null_reporter
from slipway.hosts.host import Command, Result
from slipway.kubernetes.endpoints import pod_addresses, wait_until_routed
from slipway.kubernetes.workload import Workload

CURL = ("curl", "-q", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5")  # prints the answer's status
REACHED_WITHIN, PAUSE = 60.0, 0.5  # seconds for a service to be reached, and between two attempts
UNREACHED = {6, 7, 28}  # curl's exit codes: not resolved, refused, timed out


class PodCheckRunner:
    """A `CheckRunner` in a pod.

    It waits until the service is reached by its name. Then checks are sent to one of the new pods directly, since the
    nodes send what comes by name to earlier pods for a moment. Where no pod can be asked directly, as in a mesh that
    lets nothing past its proxies, that moment is waited for.
    """

    def __init__(self, run: RunCommand, workload: Workload) -> None:
        self._run, self._workload = by_one_shell(run), workload

    def run(self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter) -> CheckReport:
        """Run every check at these addresses, in order."""
        to_pod = self._reached(addresses["BASE"], report)
        if not to_pod:
            wait_until_routed(self._workload, report)
        return CurlRunner(self._run, connect_to=to_pod).run(checks, addresses, report)

    def _reached(self, base: str, report: Reporter) -> str:
        """What curl connects to for a pod (curl(1), --connect-to), once the service is reached by its name.

        From a new service, or after a start of the cluster, that needs a while: its pods are ready, but DNS has to
        learn the name, and the nodes the way to the pods. Until then they refuse.
        """
        at, quiet = urlsplit(base), null_reporter(report.cancel)
        ways = [f"{at.hostname}:{at.port}:{address}" for address in pod_addresses(self._workload, report)]
        options = [(), *(("--connect-to", way) for way in ways)]
        commands = [Command((*CURL, *option, base), timeout=20) for option in options]
        until, told = time.monotonic() + REACHED_WITHIN, False
        while True:
            by_name, *direct = self._run(commands, quiet)
            if by_name.exit_code not in UNREACHED or time.monotonic() > until:
                return _first_like(by_name, zip(ways, direct, strict=True))
            if not told:
                report.waiting_for(f"the cluster's DNS and its nodes to know {base}")
            told = True
            report.cancel.wait(PAUSE)
            report.cancel.check()


def _first_like(by_name: Result, direct: Iterable[tuple[str, Result]]) -> str:
    """The first that answers as the service does by its name: a mesh's proxy may answer itself, with another status."""
    return next((way for way, one in direct if (one.exit_code, one.stdout) == (0, by_name.stdout)), "")
