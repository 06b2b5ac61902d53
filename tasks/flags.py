"""What flags say, read from their text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import ExitCode, Problem

if TYPE_CHECKING:
    from tasks.command import Invocation


def whole(text: str, flag: str) -> int:
    """A flag's whole number. Raises Problem for anything else."""
    if not (text.isascii() and text.isdigit()):
        raise Problem(f"{flag} takes a whole number, not {text!r}", code=ExitCode.USAGE)
    return int(text)


def one(command: Invocation, service: str) -> str:
    """The one service that a command is about. Raises Problem if none or an unknown one is named."""
    from slipway import flows

    if not service and len(command.config.services) > 1:
        raise Problem("which service?", fix=f"--service {min(command.config.services)}", code=ExitCode.USAGE)
    return flows.chosen(command.config, service)[0]


def folder(command: Invocation, text: str) -> Path:
    """The folder behind --dir. Raises Problem if none is named."""
    found = command.folder(text)
    if found is None:
        raise Problem("which folder?", fix="--dir D", code=ExitCode.USAGE)
    return found
