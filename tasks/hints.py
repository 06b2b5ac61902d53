"""Hints: advice, and behind it the commands that help, typed for the environment and the folders of this command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from slipway.errors import NextCommand, Problem

REPEATED = ("env", "settings", "services")  # flags that a next command must be given again, or it is about other things


class Hints:
    """Writes out what helps. `flags` are those that the command at hand was given."""

    def __init__(self, flags: Mapping[str, Any]) -> None:
        self._flags = flags

    def typed(self, command: NextCommand) -> str:
        """A command as it is pasted into a shell."""
        again = (*REPEATED, "bundle") if command.task == "setup" else REPEATED
        options = dict(command.options)
        for flag in again:
            options.setdefault(flag, self._flags.get(flag))
        words = (word for flag, value in options.items() if value for word in _words(flag, value))
        return shlex.join(("./invoke", command.task, *words))

    def written(self, problem: Problem) -> Problem:
        """The problem with everything that helps in the text of its hint."""
        lines = filter(None, (problem.hint, *map(self.typed, problem.commands)))
        return Problem(problem.summary, details=problem.details, hint="\n".join(lines))

    def explain(self, problem: Problem) -> str:
        """The whole of a problem as people read it."""
        return str(self.written(problem))


def _words(flag: str, value: object) -> tuple[str, ...]:
    """A flag as it is typed: one that is switched on has no value."""
    return (f"--{flag}",) if value is True else (f"--{flag}", str(value))
