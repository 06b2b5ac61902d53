"""What flags say, read from their text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import ExitCode, Problem

if TYPE_CHECKING:
    from tasks.command import Invocation


def whole(text: str, flag: str, least: int = 0, most: int = 10**9) -> int:
    """A flag's whole number. Raises Problem for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        what = f"{flag} takes a whole number from {least} to {most}, not {text[:40]!r}"
        raise Problem(what, code=ExitCode.USAGE)
    return int(text)


def one(command: Invocation, service: str) -> str:
    """The one service that a command is about. Raises Problem if none or an unknown one is named."""
    from slipway import flows

    if not service and len(command.config.services) > 1:
        raise Problem("which service?", fix=f"--service {min(command.config.services)}", code=ExitCode.USAGE)
    name, *more = flows.chosen(command.config, service)
    if more:
        fix = f"--service {name}, and the same for the others"
        raise Problem(f"{command.name} is about one service", fix=fix, code=ExitCode.USAGE)
    return name


def folder(command: Invocation, text: str) -> Path:
    """The folder behind --dir. Raises Problem if none is named."""
    found = command.folder(text)
    if found is None:
        raise Problem("which folder?", fix="--dir D", code=ExitCode.USAGE)
    return found
