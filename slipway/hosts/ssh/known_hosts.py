"""Known host keys: known_hosts files, in which `ssh-keygen -F` finds a host's lines (sshd(8), SSH_KNOWN_HOSTS)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slipway.config.models import Hosts
from slipway.config.paths import expand_user, is_file
from slipway.errors import UsageError
from slipway.hosts.ssh import ssh_config
from slipway.hosts.ssh.ssh_config import SshConfig

USER_FILE = "~/.ssh/known_hosts"
REVOKED, CERT_AUTHORITY = "@revoked", "@cert-authority"
FOUND = re.compile(r"# Host .* found: line (\d+) ?\w*\s*")  # ssh-keygen's line before each one that it found
TIMEOUT = 30  # seconds for ssh-keygen
NAMED_LINES = 5  # of a file's lines that are skipped

Note = Callable[[str], None]


class KeyStatus(StrEnum):
    """What is known about a key that a host presents."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"
    CERTIFIED = "certified"  # no key is on record, only an authority that may have signed the host's certificate


@dataclass(frozen=True)
class Entry:
    """One line of a file: a key as it is sent over the wire, and what the line is marked as."""

    kind: str
    key: bytes
    marker: str
    file: Path
    line: int

    @property
    def location(self) -> str:
        """FILE:LINE."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class KnownHosts:
    """What is on record for one host.

    `entries` are the lines for its lookup name; `portless` those for its name without the port, which ssh falls back to
    when `[host]:port` has no key.
    """

    lookup_name: str
    entries: tuple[Entry, ...] = ()
    portless: tuple[Entry, ...] = ()

    @property
    def keys(self) -> list[Entry]:
        """The keys on record; a host may have several, even of one type."""
        return [entry for entry in self.entries if not entry.marker]

    def status(self, key: bytes) -> KeyStatus:
        """What is known about the key that the host presents, by the rules of ssh (check_host_key)."""
        both = (*self.entries, *self.portless)
        if any(entry.marker == REVOKED and entry.key == key for entry in both):
            return KeyStatus.REVOKED
        known = {entry.key for entry in self.keys}
        if known:
            return KeyStatus.KNOWN if key in known else KeyStatus.CHANGED
        if any(not entry.marker and entry.key == key for entry in self.portless):
            return KeyStatus.KNOWN
        certified = any(entry.marker == CERT_AUTHORITY for entry in both)
        return KeyStatus.CERTIFIED if certified else KeyStatus.UNKNOWN


def fingerprint(key: bytes) -> str:
    """A key's fingerprint as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def files(config: SshConfig, hosts: Hosts) -> list[Path]:
    """The files in which a host's key is looked up, the first of which new keys are recorded in.

    Only the one that hosts.yaml names; else those of ssh's configuration. Where that turns verification off
    (UserKnownHostsFile none or /dev/null), the user's own file counts.
    """
    if hosts.known_hosts:
        return [expand_user(hosts.known_hosts)]
    own = [file for file in config.user_known_hosts if file != Path("/dev/null")] or [expand_user(USER_FILE)]
    return [*own, *config.global_known_hosts]


def read(config: SshConfig, hosts: Hosts, note: Note) -> KnownHosts:
    """What is on record for a host in its files. A line that ssh skips is skipped, and named in a note.

    Raises UsageError for a file that can't be read.
    """
    found = [file for file in files(config, hosts) if is_file(file)]
    for file in found:
        _name_skipped_lines(file, note)
    find = _find if ssh_config.openssh() else _find_by_paramiko
    name = config.lookup_name
    entries = tuple(entry for file in found for entry in find(file, name))
    portless: tuple[Entry, ...] = ()
    if name.startswith("[") and not any(not entry.marker for entry in entries):
        portless = tuple(entry for file in found for entry in find(file, config.hostname.lower()))
    return KnownHosts(name, entries, portless)


def _find(file: Path, name: str) -> Iterator[Entry]:
    argv = ["ssh-keygen", "-F", name, "-f", str(file)]
    try:
        answer = subprocess.run(
            argv, capture_output=True, timeout=TIMEOUT, check=False, errors="replace", start_new_session=True
        )
    except subprocess.TimeoutExpired:
        hint = f"ssh-keygen -F {name} -f '{file}' shows it: is the file on a disk that does not answer?"
        raise UsageError(f"{file}: ssh-keygen produced no answer for {TIMEOUT} s", hint=hint) from None
    number = 0
    for line in answer.stdout.splitlines():
        if header := FOUND.fullmatch(line):
            number = int(header[1])
        elif number and (entry := _entry(line, file, number)):
            yield entry


def _find_by_paramiko(file: Path, name: str) -> Iterator[Entry]:
    """The same without OpenSSH: paramiko reads names and hashes. Keys marked @revoked count for all hosts."""
    from paramiko import HostKeys, SSHException
    from paramiko.hostkeys import HostKeyEntry

    for number, line in enumerate(_lines(file), 1):
        if not (entry := _entry(line, file, number)):
            continue
        if entry.marker == REVOKED:
            yield entry
        elif not entry.marker:
            hosts = HostKeys()
            try:
                parsed = HostKeyEntry.from_line(line, number)
            except (SSHException, ValueError):
                continue
            if parsed and parsed.key:
                for host in parsed.hostnames or ():
                    hosts.add(host, parsed.key.get_name(), parsed.key)
                if hosts.lookup(name):
                    yield entry


def _lines(file: Path) -> Sequence[str]:
    try:
        return file.read_text(errors="replace").split("\n")
    except OSError as error:
        hint = "make it readable for this user: host keys can't be verified without it"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error


def _entry(line: str, file: Path, number: int) -> Entry | None:
    """A line as an entry; None if it has no key that ssh could read."""
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or marker not in {"", REVOKED, CERT_AUTHORITY}:
        return None
    try:
        return Entry(words[1], _key(words[1], words[2]), marker, file, number)
    except ValueError:
        return None


def _key(kind: str, text: str) -> bytes:
    key = base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
    size = int.from_bytes(key[:4], "big")
    if key[4 : 4 + size] != kind.encode() or len(key) <= 4 + size:
        raise binascii.Error(f"not a key of type {kind}")
    return key


_noted: set[str] = set()


def note_once(note: Note, text: str) -> None:
    """Say it unless it was said already: a host is connected to several times."""
    if text not in _noted:
        _noted.add(text)
        note(text)


def _name_skipped_lines(file: Path, note: Note) -> None:
    """Say once which lines have no host key: ssh ignores them without a word."""
    skipped = [
        number
        for number, line in enumerate(_lines(file), 1)
        if line.strip("\0 \t\r") and not line.lstrip().startswith("#") and not _entry(line, file, number)
    ]
    if skipped:
        more = f" and {len(skipped) - NAMED_LINES} more" if len(skipped) > NAMED_LINES else ""
        numbers = ", ".join(map(str, skipped[:NAMED_LINES]))
        note_once(note, f"{file}: skipped line {numbers}{more}, which ssh ignores: not a host key")
