"""Runs a service's checks: against a container of its own before a deploy, and against the live one after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from slipway.checks.runner import CheckReport, run_checks
from slipway.config.models import Check
from slipway.engine.steps import Reporter, null_reporter
from slipway.hosts.host import Command, Result


def ask(
    run: Callable[[Command, Reporter], Result], checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter
) -> CheckReport:
    """Ask every check at these addresses with the curl that `run` reaches; how many passed is said."""

    def curl(argv: Sequence[str], stdin: bytes, seconds: float) -> tuple[int, bytes, bytes]:
        # answers may hold tokens: nothing of them is shown but as masked evidence
        done = run(Command(tuple(argv), stdin=stdin, timeout=seconds), null_reporter(report.cancel))
        return done.exit_code, done.stdout, done.stderr

    began = time.monotonic()
    outcome = run_checks(checks, addresses, curl)
    passed = sum(result.ok for result in outcome.results)
    report.note(f"{passed} of {len(outcome.results)} checks passed in {time.monotonic() - began:.1f} s")
    return outcome
