"""A check runner that sends nothing and whose results a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipway.checks.report import CheckReport, CheckResult
from slipway.config.models import Check
from slipway.engine.reporter import Reporter


class FakeCheckRunner:
    """Passes every check except those in `faults`: what is wrong, by the check's name."""

    def __init__(self, faults: Mapping[str, str] | None = None) -> None:
        self.faults = dict(faults or {})
        self.asked: list[Mapping[str, str]] = []  # the addresses of each run
        self.interrupts: BaseException | None = None  # raised by the next run

    def run(self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter) -> CheckReport:
        """A result for each check."""
        report.cancel.check()
        self.asked.append(addresses)
        interrupt, self.interrupts = self.interrupts, None
        if interrupt:
            raise interrupt
        faults = {check.name: self.faults.get(check.name, "") for check in checks}
        return CheckReport(
            tuple(CheckResult(name, "curl", (fault,) if fault else ()) for name, fault in faults.items())
        )
