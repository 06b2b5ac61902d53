"""Runs a service's checks: against a container of its own before a deploy, and against the live one after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from slipway.config.models import Check
from slipway.hosts.host import Command, Done
from slipway.smoke.check import Report, run_checks
from slipway.steps import Say, silent


def ask(run: Callable[[Command, Say], Done], checks: Sequence[Check], addresses: Mapping[str, str], say: Say) -> Report:
    """Ask every check at these addresses with the curl that `run` reaches; how many passed is said."""

    def curl(argv: Sequence[str], stdin: bytes, seconds: float) -> tuple[int, bytes, bytes]:
        # answers may hold tokens: nothing of them is shown but as masked evidence
        done = run(Command(tuple(argv), stdin=stdin, timeout=seconds), silent(say.cancel))
        return done.exit, done.stdout, done.stderr

    began = time.monotonic()
    report = run_checks(checks, addresses, curl)
    passed = sum(result.ok for result in report.results)
    say.note(f"{passed} of {len(report.results)} checks passed in {time.monotonic() - began:.1f} s")
    return report
