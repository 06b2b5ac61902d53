"""The results of a service's checks, and the evidence that they leave behind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. `line` can be pasted into a shell; `failures` say what was expected and what came."""

    name: str
    line: str
    failures: tuple[str, ...] = ()
    excerpt: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the answer was the expected one."""
        return not self.failures


@dataclass(frozen=True)
class CheckReport:
    """The results of a service's checks, in order."""

    results: tuple[CheckResult, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all passed."""
        return all(result.ok for result in self.results)

    @property
    def summary(self) -> str:
        """How many passed."""
        passed = sum(result.ok for result in self.results)
        return f"{passed} of {len(self.results)} checks passed"

    @property
    def record(self) -> dict[str, bool]:
        """Whether each passed, by name; where checks share a name, whether all of them did."""
        failed = {result.name for result in self.results if not result.ok}
        return {result.name: result.name not in failed for result in self.results}

    @property
    def failed(self) -> str:
        """The names of those that failed, separated by commas."""
        return ", ".join(name for name, ok in self.record.items() if not ok)

    @property
    def text(self) -> str:
        """The evidence of each failure: the line to paste, what came, what was expected."""
        return "\n".join(evidence(result) for result in self.results if not result.ok)


def evidence(result: CheckResult) -> str:
    """What is needed to understand why a check failed; what came is marked with <."""
    came = "\n".join(f"  < {line}" for line in result.excerpt.splitlines())
    failures = "\n".join(f"  {failure}" for failure in result.failures)
    return f"check: {result.name}\n  {result.line}\n{came}\n{failures}"
