"""Runs a service's checks with the real curl: against a container of its own before a deploy, then the live one."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from slipway.checks.curl import ARGV, config_file, parse_answer, pasteable
from slipway.checks.report import CheckReport, CheckResult
from slipway.config.assertions.answer import Answer
from slipway.config.curl import parse
from slipway.config.models import Check, Save
from slipway.engine.masking import Masker
from slipway.engine.reporter import Reporter, null_reporter
from slipway.hosts.host import Command, Result

TIMEOUT = 30.0  # seconds for an answer: a service is often smoke-tested beside builds, and cold
EXCERPT = 2048  # bytes of a body that the evidence shows

RunCommand = Callable[[Command, Reporter], Result]
RunCommands = Callable[[Sequence[Command], Reporter], list[Result]]  # one behind the other


class CheckRunner(Protocol):
    """Runs checks where a service can be reached."""

    def run(self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter) -> CheckReport:
        """Run every check at these addresses (URLs by variable), in order."""


def one_by_one(run: RunCommand) -> RunCommands:
    """Run commands, each by itself."""

    def run_all(commands: Sequence[Command], report: Reporter) -> list[Result]:
        return [run(command, report) for command in commands]

    return run_all


@dataclass(frozen=True)
class CurlRunner:
    """A `CheckRunner` with the curl that `commands` reaches.

    An answer is waited for `timeout` seconds, or twice what the check expects it within where that is longer.
    `connect_to` is the value of curl's option of that name: where checks connect to instead of their URL's host.
    """

    commands: RunCommands
    timeout: float = TIMEOUT
    connect_to: str = ""

    def run(self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter) -> CheckReport:
        """Run every check, then report how many passed."""
        started = time.monotonic()
        running = CheckRun(self.commands, addresses, report, self.timeout, self.connect_to)
        outcome = CheckReport(tuple(running.results(checks)))
        report.note(f"{outcome.summary} in {time.monotonic() - started:.1f} s")
        return outcome


@dataclass(frozen=True)
class _Sent:
    """A check as it is sent: its line, what a person can paste, and how the end of its answer is told."""

    check: Check
    pasted: str
    marker: str
    command: Command


class CheckRun:
    """Runs checks one after the other; each can use the values that earlier ones saved."""

    def __init__(
        self,
        run: RunCommands,
        addresses: Mapping[str, str],
        report: Reporter,
        timeout: float,
        connect_to: str = "",
    ) -> None:
        self._run = run
        self._addresses = addresses
        self._report = report
        self._timeout = timeout
        self._connect_to = connect_to
        self._saved: dict[str, str] = {}
        self._masker = Masker()  # of what was saved: it may be tokens

    def results(self, checks: Sequence[Check]) -> Iterator[CheckResult]:
        """Run checks. One that uses a value which no check before it saved fails without being sent.

        Those that use nothing that another of them saves are sent together.
        """
        left = list(checks)
        while left:
            count = _independent(left)
            prepared = [self._prepared(check) for check in left[:count]]
            left = left[count:]
            sent = [one for one in prepared if isinstance(one, _Sent)]
            # an answer may hold tokens: only its masked evidence is reported
            quiet = null_reporter(self._report.cancel)
            done = iter(self._run([one.command for one in sent], quiet) if sent else ())
            for one in prepared:
                yield self._result(one, next(done)) if isinstance(one, _Sent) else one

    def _prepared(self, check: Check) -> _Sent | CheckResult:
        """A check to be sent, or why it is not."""
        try:
            line = parse(check.curl)
        except ValueError as error:  # of a release that an earlier version recorded
            return CheckResult(check.name, check.curl, (f"not sent: {error}",))
        pasted = pasteable(line, self._addresses)
        missing = sorted(line.variables - {*self._addresses, *self._saved})
        if missing:
            return CheckResult(check.name, pasted, (f"not sent: no earlier check saved ${missing[0]}",))
        within = check.expect.within
        timeout = line.max_time or max(self._timeout, 2 * within.root if within else 0)
        marker = f"slipway-{secrets.token_hex(12)}"
        try:
            values = {**self._addresses, **self._saved}
            config = config_file(line, values, marker, timeout, self._connect_to)
        except ValueError as error:
            return self._judged(check, pasted, Answer(error=str(error)))
        return _Sent(check, pasted, marker, Command(ARGV, stdin=config, timeout=timeout + 5))

    def _result(self, sent: _Sent, done: Result) -> CheckResult:
        answer = parse_answer(sent.marker, done.exit_code, done.stdout, done.stderr)
        return self._judged(sent.check, sent.pasted, answer)

    def _judged(self, check: Check, pasted: str, answer: Answer) -> CheckResult:
        """What an answer lacks of what is expected; its values are saved."""
        failures = check.expect.failures(answer)
        try:
            self._saved |= saved_values(check.save, answer)
        except ValueError as error:
            failures.append(str(error))
        self._masker.register(self._saved.values())
        texts = tuple(self._masker.mask(failure) for failure in failures)
        shown = self._masker.mask(excerpt(answer)) if failures else ""
        return CheckResult(check.name, pasted, texts, shown, answer.seconds)


def _independent(checks: Sequence[Check]) -> int:
    """How many of the first checks use nothing that one of them saves."""
    saved = set[str]()
    for count, check in enumerate(checks):
        with suppress(ValueError):  # it is told when the check is prepared
            if saved & parse(check.curl).variables:
                return count
        saved |= check.save.keys()
    return len(checks)


def saved_values(save: Mapping[str, Save], answer: Answer) -> dict[str, str]:
    """The values that later checks use. Raises ValueError naming the first that the answer does not have."""
    values = {}
    for name, source in save.items():
        found = candidates(source, answer)
        if not found:
            raise ValueError(f"expected a value to save as ${name}, got none")
        values[name] = found[0]
    return values


def candidates(source: Save, answer: Answer) -> list[str]:
    """The values in the answer that match: the first group of the regular expression, or all that it matches."""
    if source.header:
        texts = answer.header(source.header)
    elif source.at:
        texts = [str(value) for value in answer.json_values(source.at)]
    else:
        texts = [answer.text]
    if not source.match:
        return texts
    matches = [match for text in texts if (match := re.search(source.match, text))]
    return [match[1] if match.groups() else match[0] for match in matches]


def excerpt(answer: Answer) -> str:
    """The answer as the evidence shows it: status, headers, the beginning of the body."""
    if answer.error:
        return answer.error
    head = [f"HTTP {answer.status}", *(f"{name}: {value}" for name, value in answer.headers)]
    return "\n".join((*head, "", answer.body[:EXCERPT].decode(errors="replace")))
