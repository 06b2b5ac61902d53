"""The results of checks: what is recorded of them, and the evidence of those that failed."""

from __future__ import annotations

from slipway.checks.report import CheckReport, CheckResult

GOOD = CheckResult("good", "curl http://h/good")
BAD = CheckResult("bad", "curl http://h/bad", ("expected status 200, got 500",), "HTTP 500\n\noops")


def test_the_evidence_has_the_line_to_paste_what_came_and_what_was_expected() -> None:
    assert CheckReport((GOOD, BAD)).text == (
        "check: bad\n  curl http://h/bad\n  < HTTP 500\n  < \n  < oops\n  expected status 200, got 500"
    )


def test_a_report_counts_and_records_what_passed() -> None:
    report = CheckReport((GOOD, BAD))
    assert (report.ok, report.summary) == (False, "1 of 2 checks passed")
    assert report.record == {"good": True, "bad": False}


def test_no_checks_are_no_failure() -> None:
    assert (CheckReport().ok, CheckReport().record, CheckReport().text) == (True, {}, "")
