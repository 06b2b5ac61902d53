"""Values of flags, parsed and checked."""

from __future__ import annotations

from slipway.errors import UsageError

SERVICES = "services, separated by commas; default: all"  # the help of --service


def split_names(text: str) -> list[str]:
    """The names in `a,b`; none in an empty text."""
    return [name.strip() for name in text.split(",") if name.strip()]


def whole_number(text: str, flag: str, minimum: int = 0, maximum: int = 10**9) -> int:
    """A flag's whole number. Raises UsageError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and minimum <= int(text) <= maximum):
        raise UsageError(f"{flag} takes a whole number from {minimum} to {maximum}, not {text[:40]!r}")
    return int(text)
