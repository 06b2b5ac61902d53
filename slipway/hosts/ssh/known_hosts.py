"""Known host keys: known_hosts files read line by line, as ssh reads them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

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

from slipway.config.models import Hosts
from slipway.config.paths import expand_user
from slipway.errors import Problem, UsageError

SYSTEM_FILE = Path("/etc/ssh/ssh_known_hosts")


class KeyStatus(StrEnum):
    """What is known about a key that a host presents."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Entry:
    """One line of a file: host name patterns, and a key as it is sent over the wire."""

    names: tuple[str, ...]
    kind: str
    key: bytes
    revoked: bool
    file: Path
    line: int

    @property
    def location(self) -> str:
        """FILE:LINE."""
        return f"{self.file}:{self.line}"

    def matches(self, lookup_name: str) -> bool:
        """Whether it is for `host` or `[host]:port`: by name, by pattern, or by a hash of the name."""
        lookup_name = lookup_name.lower()
        if any(name.startswith("!") and _matches(name[1:], lookup_name) for name in self.names):
            return False
        return any(_matches(name, lookup_name) for name in self.names)


def _matches(name: str, lookup_name: str) -> bool:
    if name.startswith("|1|"):
        _, _, salt, expected = name.split("|")
        digest = hmac.new(base64.b64decode(salt), lookup_name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(digest, base64.b64decode(expected))
    pattern = re.escape(name.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, lookup_name) is not None


@dataclass(frozen=True)
class KnownHosts:
    """The entries of all files together."""

    entries: tuple[Entry, ...]

    def keys_of(self, lookup_name: str) -> list[Entry]:
        """The keys on record for a name; a host may have several, even of one type."""
        return [entry for entry in self.entries if not entry.revoked and entry.matches(lookup_name)]

    def status(self, lookup_name: str, key: bytes) -> KeyStatus:
        """What is known about the key that a host of this name presents."""
        if any(entry.revoked and entry.key == key and entry.matches(lookup_name) for entry in self.entries):
            return KeyStatus.REVOKED
        recorded = self.keys_of(lookup_name)
        if not recorded:
            return KeyStatus.UNKNOWN
        return KeyStatus.KNOWN if key in {entry.key for entry in recorded} else KeyStatus.CHANGED


def lookup_name(host: str, port: int) -> str:
    """The name under which a host's key is recorded."""
    return host if port == 22 else f"[{host}]:{port}"


def fingerprint(key: bytes) -> str:
    """A key's fingerprint as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def recorded_in(hosts: Hosts) -> Path:
    """The file in which the keys of hosts are recorded: the user's, or the one that hosts.yaml names."""
    return expand_user(hosts.known_hosts or "~/.ssh/known_hosts")


def files(hosts: Hosts) -> list[Path]:
    """The files in which host keys are looked up: the user's and the system's, or the one that hosts.yaml names."""
    return [recorded_in(hosts), *([] if hosts.known_hosts else [SYSTEM_FILE])]


def read(files: Sequence[Path]) -> KnownHosts:
    """The entries of those files that exist.

    Raises UsageError for a file that can't be read, and for an invalid line, with FILE:LINE.
    """
    return KnownHosts(tuple(entry for file in files if file.is_file() for entry in _entries(file)))


def _entries(file: Path) -> Iterator[Entry]:
    try:
        text = file.read_text(errors="replace")
    except OSError as error:
        hint = "make it readable for this user: host keys can't be verified without it"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if marker == "@cert-authority":
            continue  # for host certificates, which are not requested
        try:
            names, kind, text = words[:3]
            entry = Entry(tuple(names.split(",")), kind, _key(kind, text), bool(marker), file, number)
            entry.matches("")  # raises for an invalid hash
        except ValueError as error:
            raise _invalid_line(f"{file}:{number}", str(error)) from None
        if marker not in {"", "@revoked"}:
            raise _invalid_line(f"{file}:{number}", f"unknown marker: {marker}")
        yield entry


def _key(kind: str, text: str) -> bytes:
    key = base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
    size = int.from_bytes(key[:4], "big")
    if key[4 : 4 + size] != kind.encode():
        raise binascii.Error(f"not a key of type {kind}")
    return key


def _invalid_line(location: str, details: str) -> Problem:
    hint = "correct or remove that line: host keys are not verified against a file that can't be parsed completely"
    return UsageError(f"{location}: invalid known_hosts entry", details=details, hint=hint)
