"""The host keys that are known: known_hosts files read line by line, as ssh reads them (sshd(8), SSH_KNOWN_HOSTS)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slipway.errors import Problem, UsageError


class Standing(StrEnum):
    """What is known of a key that a host shows."""

    GOOD = "good"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Entry:
    """One line of a file: the names that it is for, and a key (as it goes over the wire)."""

    names: tuple[str, ...]
    kind: str
    key: bytes
    revoked: bool
    file: Path
    line: int

    @property
    def where(self) -> str:
        """Its file and line."""
        return f"{self.file}:{self.line}"

    def holds(self, place: str) -> bool:
        """Whether it is for a place (`host`, or `[host]:port`): by name, by pattern, or by a hash of the name."""
        place = place.lower()
        if any(name.startswith("!") and _matches(name[1:], place) for name in self.names):
            return False
        return any(_matches(name, place) for name in self.names)


def _matches(name: str, place: str) -> bool:
    if name.startswith("|1|"):
        _, _, salt, hashed = name.split("|")
        made = hmac.new(base64.b64decode(salt), place.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(made, base64.b64decode(hashed))
    pattern = re.escape(name.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, place) is not None


@dataclass(frozen=True)
class Known:
    """What the files say together."""

    entries: tuple[Entry, ...]

    def of(self, place: str) -> list[Entry]:
        """The keys on record for a place; a host may have several, of one type too."""
        return [entry for entry in self.entries if not entry.revoked and entry.holds(place)]

    def standing(self, place: str, key: bytes) -> Standing:
        """What is known of the key that a place shows."""
        if any(entry.revoked and entry.key == key and entry.holds(place) for entry in self.entries):
            return Standing.REVOKED
        recorded = self.of(place)
        if not recorded:
            return Standing.UNKNOWN
        return Standing.GOOD if key in {entry.key for entry in recorded} else Standing.CHANGED


def place(host: str, port: int) -> str:
    """The name under which the key of a host's port is kept."""
    return host if port == 22 else f"[{host}]:{port}"


def fingerprint(key: bytes) -> str:
    """A key's fingerprint as ssh-keygen -l shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def read(files: Sequence[Path]) -> Known:
    """What is known, from the files that are there.

    Raises Problem for one that can't be read, and for a line that is no entry, with its place.
    """
    return Known(tuple(entry for file in files if file.is_file() for entry in _entries(file)))


def _entries(file: Path) -> Iterator[Entry]:
    try:
        text = file.read_text(errors="replace")
    except OSError as error:
        hint = "let this user read it: no host's key is verified without it"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if marker == "@cert-authority":
            continue  # it vouches for certificates, which are not asked for here
        try:
            names, kind, text = words[:3]
            entry = Entry(tuple(names.split(",")), kind, _key(kind, text), bool(marker), file, number)
            entry.holds("")  # a hashed name is one
        except ValueError as error:
            raise _broken(f"{file}:{number}", str(error)) from None
        if marker not in {"", "@revoked"}:
            raise _broken(f"{file}:{number}", f"{marker} is no marker")
        yield entry


def _key(kind: str, text: str) -> bytes:
    key = base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
    size = int.from_bytes(key[:4], "big")
    if key[4 : 4 + size] != kind.encode():
        raise binascii.Error(f"that is not a key of type {kind}")
    return key


def _broken(where: str, details: str) -> Problem:
    hint = "mend or remove that line: no host's key is verified against a file that can't be read whole"
    return UsageError(f"{where}: not an entry of known hosts", details=details, hint=hint)
