"""What flags say, read from their text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import UsageError

if TYPE_CHECKING:
    from slipway.flows.services import AnyService
    from tasks.invocation import Invocation


def whole(text: str, flag: str, least: int = 0, most: int = 10**9) -> int:
    """A flag's whole number. Raises Problem for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        summary = f"{flag} takes a whole number from {least} to {most}, not {text[:40]!r}"
        raise UsageError(summary)
    return int(text)


def one(command: Invocation, service: str) -> AnyService:
    """The one service that a command is about. Raises Problem if none or an unknown one is named."""
    from slipway.flows.selection import select

    if not service and len(command.config.services) > 1:
        raise UsageError("which service?", hint=f"--service {min(command.config.services)}")
    found, *more = select(command.workspace.services, service).chosen
    if more:
        hint = f"--service {found.name}, and the same for the others"
        raise UsageError(f"{command.name} is about one service", hint=hint)
    return found


def folder(command: Invocation, text: str) -> Path:
    """The folder behind --dir. Raises Problem if none is named."""
    found = command.folder(text)
    if found is None:
        raise UsageError("which folder?", hint="--dir D")
    return found
