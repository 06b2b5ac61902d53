"""Runs a service's checks from a pod: they are sent to a pod of the current release."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from slipway.checks.report import CheckReport
from slipway.checks.runner import CurlRunner, RunCommand
from slipway.checks.script import by_one_shell
from slipway.config.models import Check
from slipway.deployers.kubernetes.namespace_scope import EarlyResult
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts.host import Command
from slipway.kubernetes.endpoints import pod_addresses, wait_until_routed
from slipway.kubernetes.workload import Workload

CURL = ("curl", "-q", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "5")  # prints the answer's status
REACHED_WITHIN, PAUSE = 60.0, 0.5  # seconds for a service to be reached, and between two attempts
UNREACHED = {6, 7, 28}  # curl's exit codes: not resolved, refused, timed out
UNTIL_ANSWER = 'until curl -q -s -f -o /dev/null --max-time 2 "$0"; do sleep 0.1; done'
ANSWER = 900.0  # seconds for it; whoever waits for the rollout ends it earlier


class PodCheckRunner:
    """Runs the checks of one service from a pod: `ReleaseChecks`.

    It waits until the service is reached by its name. Then checks are sent to one of the new pods directly, since the
    nodes send what comes by name to earlier pods for a moment. Where no pod can be asked directly, as in a mesh that
    lets nothing past its proxies, that moment is waited for.
    """

    def __init__(self, run: RunCommand, workload: Workload) -> None:
        self._run, self._workload = by_one_shell(run), workload

    def run(
        self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter, early: EarlyResult | None = None
    ) -> CheckReport:
        """Run every check at these addresses, in order, unless all have passed early."""
        reached = early is not None and early.by_name
        pods = pod_addresses(self._workload, report) if reached else self._reached(addresses["BASE"], report)
        if early and early.pod in pods:
            report.note(f"{early.checks.summary} while the rollout ended")
            return early.checks
        if not pods:
            wait_until_routed(self._workload, report)
        return self._sent(checks, addresses, report, *pods[:1])

    def run_early(
        self, pod: str, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter
    ) -> EarlyResult:
        """Run every check, in order; those of the service itself are sent to a pod."""
        found = self._sent(checks, addresses, report, pod)
        _, alike = self._asked(addresses["BASE"], [pod], report)
        return EarlyResult(pod, found, by_name=bool(alike))

    def wait_for_answer(self, pod: str, path: str, report: Reporter) -> None:
        """Wait until a pod answers at a path as its node expects of one that is ready: with a status below 400."""
        command = Command(("sh", "-c", UNTIL_ANSWER, f"http://{pod}{path}"), timeout=ANSWER)
        (done,) = self._run([command], report)
        if done.exit_code:
            raise Problem(f"{pod} can't be asked directly", details=done.stderr.decode(errors="replace"))

    def _sent(
        self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter, pod: str = ""
    ) -> CheckReport:
        connect_to = _way(addresses["BASE"], pod) if pod else ""
        return CurlRunner(self._run, connect_to=connect_to).run(checks, addresses, report)

    def _reached(self, base: str, report: Reporter) -> list[str]:
        """The pods that answer as the service does by its name, once it does. A mesh's proxy may answer itself.

        From a new service, or after a start of the cluster, that needs a while: its pods are ready, but DNS has to
        learn the name, and the nodes the way to the pods. Until then they refuse.
        """
        pods = pod_addresses(self._workload, report)
        until, told = time.monotonic() + REACHED_WITHIN, False
        while True:
            exit_code, alike = self._asked(base, pods, report)
            if exit_code not in UNREACHED or time.monotonic() > until:
                return alike
            if not told:
                report.waiting_for(f"the cluster's DNS and its nodes to know {base}")
            told = True
            report.cancel.wait(PAUSE)
            report.cancel.check()

    def _asked(self, base: str, pods: Sequence[str], report: Reporter) -> tuple[int, list[str]]:
        """Curl's exit code for a URL, and the pods that answer it with the same status."""
        options = [(), *(("--connect-to", _way(base, pod)) for pod in pods)]
        commands = [Command((*CURL, *option, base), timeout=20) for option in options]
        by_name, *direct = self._run(commands, null_reporter(report.cancel))
        answers = zip(pods, direct, strict=True)
        return by_name.exit_code, [pod for pod, one in answers if (one.exit_code, one.stdout) == (0, by_name.stdout)]


def _way(base: str, pod: str) -> str:
    """The value of curl's --connect-to that sends what goes to a URL's host to a pod (curl(1))."""
    at = urlsplit(base)
    return f"{at.hostname}:{at.port}:{pod}"
