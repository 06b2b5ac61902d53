"""Asks what a check asks, with the real curl, and says what came and what was wanted."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.config.curl import Line, config, masked, parse, pasteable
from slipway.config.models import Check, Save

__all__ = ["Answer", "CheckReport", "CheckResult", "answer", "judge", "parse", "run_checks"]

CURL = ("curl", "-q", "-K", "-")
WORDS = {  # curl's exit codes (curl(1)) in plain words
    5: "the proxy has no address",
    6: "the name has no address",
    7: "connection refused",
    28: "no answer in time",
    35: "no TLS connection",
    52: "an empty answer",
    56: "the connection broke",
    60: "an untrusted certificate",
}
WAIT = 30.0  # seconds for an answer: a service is often smoke-tested beside builds, and cold
EXCERPT = 2048  # bytes of a body that evidence shows

Curl = Callable[[Sequence[str], bytes, float], tuple[int, bytes, bytes]]  # (argv, stdin, seconds) -> exit, out, err


@dataclass(frozen=True)
class Answer:
    """What a service answered. `seconds` is curl's time_total; `error` is set, in plain words, when nothing came."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0
    error: str = ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def header(self, name: str) -> list[str]:
        """Every value of a header; names have no case (RFC 9110)."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass(frozen=True)
class CheckResult:
    """One check's result. `line` can be pasted; `faults` say what was wanted and what came."""

    name: str
    line: str
    faults: tuple[str, ...]
    excerpt: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the answer was the wanted one."""
        return not self.faults


@dataclass(frozen=True)
class CheckReport:
    """The results of a service's checks, in order."""

    results: tuple[CheckResult, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether all passed."""
        return all(result.ok for result in self.results)

    @property
    def record(self) -> dict[str, bool]:
        """Results by name; checks of one name have passed together or not at all."""
        failed = {result.name for result in self.results if not result.ok}
        return {result.name: result.name not in failed for result in self.results}

    @property
    def text(self) -> str:
        """The evidence of what failed: the line to paste, what came, what was wanted."""
        parts = []
        for result in self.results:
            if not result.ok:
                came = "\n".join(f"  < {line}" for line in result.excerpt.splitlines())
                faults = "\n".join(f"  {fault}" for fault in result.faults)
                parts.append(f"check: {result.name}\n  {result.line}\n{came}\n{faults}")
        return "\n".join(parts)


def answer(marker: str, code: int, out: bytes, err: bytes) -> Answer:
    """Read curl's output: headers of all hops, the body, and the trailer that `line.config` asked for."""
    head, found, trailer = out.rpartition(f"\n{marker} ".encode())
    words = trailer.split()
    if not found or len(words) != 3:
        return Answer(error=WORDS.get(code, err.decode(errors="replace").strip() or f"curl's exit code {code}"))
    size, seconds = int(words[1]), float(words[2])
    if code or words[0] == b"000":
        said = WORDS.get(code, err.decode(errors="replace").strip() or f"curl's exit code {code}")
        return Answer(seconds=seconds, error=said)
    blocks = [block for block in head[:size].decode("latin-1").split("\r\n\r\n") if block]
    lines = blocks[-1].split("\r\n")[1:] if blocks else []
    pairs = tuple((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Answer(int(words[0]), pairs, head[size:], seconds)


def judge(check: Check, got: Answer) -> list[str]:
    """What was wanted and did not come, one line each."""
    if got.error:
        return [f"wanted an answer, got none: {got.error}"]
    want = check.expect
    faults = []
    if want.status is not None and got.status != want.status:
        faults.append(f"wanted status {want.status}, got {got.status}")
    for name, pattern in want.headers.items():
        values = got.header(name)
        if not any(re.search(pattern, value) for value in values):
            faults.append(f"wanted header {name} like {pattern}, got {' and '.join(values) or 'none'}")
    if want.body is not None and not re.search(want.body, got.text):
        faults.append(f"wanted a body like {want.body}")
    for path, value in want.at.items():
        found = at(path, got)
        if not any(type(one) is type(value) and one == value for one in found):
            faults.append(
                f"wanted {path} to be {json.dumps(value)}, got {', '.join(map(json.dumps, found)) or 'nothing'}"
            )
    if want.within is not None and got.seconds > want.within:
        faults.append(f"wanted it within {want.within} s, took {got.seconds:.2f} s")
    return faults


def at(path: str, got: Answer) -> list[Any]:
    """What a JSONPath (RFC 9535) finds in the body; nothing where the body is no JSON."""
    import jsonpath

    try:
        return list(jsonpath.findall(path, json.loads(got.text)))
    except ValueError:
        return []


def saved(save: Mapping[str, Save], got: Answer) -> dict[str, str]:
    """The values that later lines need. Raises ValueError naming the first that did not come."""
    values = {}
    for name, how in save.items():
        found = got.header(how.header) if how.header else [str(v) for v in at(how.at, got)] if how.at else [got.text]
        matches = [re.search(how.match, text) for text in found] if how.match else []
        hits = [m[1] if m.groups() else m[0] for m in matches if m] if how.match else found
        if not hits:
            raise ValueError(f"wanted a value for ${name}, and none came")
        values[name] = hits[0]
    return values


def run_checks(
    checks: Sequence[Check], addresses: Mapping[str, str], curl: Curl, *, seconds: float = WAIT
) -> CheckReport:
    """Ask every check at these addresses, in order; one whose value is missing fails as not asked.

    An answer is waited for `seconds`, or twice what the check calls fast enough where that is longer.
    """
    values = dict(addresses)
    results = []
    for check in checks:
        line = parse(check.curl)
        shown = pasteable(line, addresses)
        absent = sorted(line.variables - set(values))
        if absent:
            results.append(
                CheckResult(check.name, shown, (f"not asked: ${absent[0]} did not come from an earlier check",))
            )
            continue
        got = _ask(line, values, curl, max(seconds, (check.expect.within or 0) * 2))
        faults = judge(check, got)
        try:
            values |= saved(check.save, got)
        except ValueError as error:
            faults.append(str(error))
        hidden = [value for name, value in values.items() if name not in addresses]
        excerpt = masked(_excerpt(got), hidden) if faults else ""
        texts = tuple(masked(fault, hidden) for fault in faults)
        results.append(CheckResult(check.name, shown, texts, excerpt, got.seconds))
    return CheckReport(tuple(results))


def _ask(line: Line, values: Mapping[str, str], curl: Curl, seconds: float) -> Answer:
    marker = f"slipway-{secrets.token_hex(12)}"
    try:
        given = config(line, values, marker, seconds)
    except ValueError as error:
        return Answer(error=str(error))
    code, out, err = curl(CURL, given, seconds + 5)
    return answer(marker, code, out, err)


def _excerpt(got: Answer) -> str:
    if got.error:
        return got.error
    head = [f"HTTP {got.status}", *(f"{name}: {value}" for name, value in got.headers)]
    return "\n".join((*head, "", got.body[:EXCERPT].decode(errors="replace")))
