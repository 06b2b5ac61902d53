"""Several commands run by one shell, where to start each by itself would take longer than it runs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

from slipway.checks.runner import RunCommand, RunCommands, one_by_one
from slipway.engine.reporter import Reporter
from slipway.hosts.host import Command, Result

SHELL = ("sh",)  # any POSIX shell; the script is its standard input, where secrets may be


def by_one_shell(run: RunCommand) -> RunCommands:
    """Run commands, one behind the other, by a shell that `run` reaches; each by itself where there is no shell."""

    def run_all(commands: Sequence[Command], report: Reporter) -> list[Result]:
        if len(commands) == 1:
            return [run(commands[0], report)]
        marker = f"slipway-{secrets.token_hex(12)}"
        timeout = sum(command.timeout for command in commands)
        done = run(Command(SHELL, stdin=script(commands, marker), timeout=timeout), report)
        if not done.stdout.startswith(marker.encode()):  # there is none; how that is told differs by runtime
            return one_by_one(run)(commands, report)
        return results(commands, marker, done)

    return run_all


def script(commands: Sequence[Command], marker: str) -> bytes:
    """A script that says that it runs, runs the commands, and says behind the output of each that it ended, and how."""
    parts = [f"printf '{marker}\\n'\n".encode()]
    for command in commands:
        parts += [f"{command.line} <<'{marker}'\n".encode(), command.stdin]
        if not command.stdin.endswith(b"\n"):
            parts.append(b"\n")
        parts.append(f"{marker}\nprintf '\\n{marker} %d\\n' \"$?\"\nprintf '\\n{marker}\\n' >&2\n".encode())
    return b"".join(parts)


def results(commands: Sequence[Command], marker: str, done: Result) -> list[Result]:
    """What each command said; of those that the script did not come to, what is known of the script."""
    ended = re.split(rf"\n{marker} (\d+)\n".encode(), done.stdout.removeprefix(f"{marker}\n".encode()))
    errors = done.stderr.split(f"\n{marker}\n".encode())
    found = []
    for number, command in enumerate(commands):
        stderr = errors[number] if number < len(errors) else b""
        if 2 * number + 1 < len(ended):
            found.append(Result(command, int(ended[2 * number + 1]), ended[2 * number], stderr))
        else:
            found.append(Result(command, done.exit_code or 1, b"", stderr or errors[-1]))
    return found
