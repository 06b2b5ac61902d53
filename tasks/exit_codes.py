"""Exit codes, as the README promises them: made here alone, of errors and of how a run ended."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

from slipway.engine.events import Outcome
from slipway.errors import Problem, Unreachable, UsageError

if TYPE_CHECKING:
    from slipway.engine.plan import RunResult


class ExitCode(IntEnum):
    """What a shell sees. 130 is 128 + SIGINT."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


def of_problem(problem: Problem) -> ExitCode:
    """The code of a command that ends with this problem, if nothing worse happened."""
    if isinstance(problem, UsageError):
        return ExitCode.USAGE
    if isinstance(problem, Unreachable) and not problem.changed:
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED


def of_problems(problems: Iterable[Problem]) -> ExitCode:
    """The code that all of them have, or that of a failure."""
    codes = {of_problem(problem) for problem in problems}
    return codes.pop() if len(codes) == 1 else ExitCode.FAILED


def of_run(result: RunResult) -> ExitCode:
    """The code of a run: a failure's own code only as long as nothing was changed."""
    if result.outcome is Outcome.INTERRUPTED:
        return ExitCode.INTERRUPTED
    if not result.failures:
        return ExitCode.DONE
    return ExitCode.FAILED if result.changed else of_problems(result.failures.values())
