"""Values of flags, parsed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from slipway.errors import UsageError

if TYPE_CHECKING:
    from slipway.flows.services import AnyService
    from tasks.invocation import Invocation

SERVICES = "services, separated by commas; default: all"  # the help of --service


def split_names(text: str) -> list[str]:
    """The names in `a,b`; none in an empty text."""
    return [name.strip() for name in text.split(",") if name.strip()]


def whole_number(text: str, flag: str, minimum: int = 0, maximum: int = 10**9) -> int:
    """A flag's whole number. Raises UsageError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and minimum <= int(text) <= maximum):
        raise UsageError(f"{flag} takes a whole number from {minimum} to {maximum}, not {text[:40]!r}")
    return int(text)


def one_service(invocation: Invocation, text: str) -> AnyService:
    """The one service that a command is about. Raises UsageError if none, several or an unknown one is named."""
    from slipway.flows.selection import select

    if not text and len(invocation.config.services) > 1:
        raise UsageError("which service?", hint=f"--service {min(invocation.config.services)}")
    found, *more = select(invocation.workspace.services, split_names(text)).chosen
    if more:
        hint = f"--service {found.name}, then the same for the others"
        raise UsageError(f"{invocation.name} takes one service", hint=hint)
    return found


def required_folder(invocation: Invocation, text: str) -> Path:
    """The folder behind --dir. Raises UsageError if none is given."""
    found = invocation.folder(text)
    if found is None:
        raise UsageError("which folder?", hint="--dir FOLDER")
    return found
