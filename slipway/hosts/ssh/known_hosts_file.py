"""The lines of known_hosts files, in which `ssh-keygen -F` finds a host's (sshd(8), SSH_KNOWN_HOSTS)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paramiko import Message

from slipway.engine.cancellation import Cancel
from slipway.errors import UsageError
from slipway.hosts.ssh import openssh
from slipway.hosts.ssh.host_certificate import certified_key
from slipway.hosts.ssh.host_key import CERTIFIED, is_readable

REVOKED, CERT_AUTHORITY = "@revoked", "@cert-authority"
FOUND = re.compile(r"# Host .* found: line (\d+) ?\w*\s*")  # ssh-keygen's line before each one that it found
NAMED_LINES = 5  # of a file's lines that are skipped

Note = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """A key as it is sent over the wire, what its line is marked as, and where that is."""

    kind: str
    key: bytes
    marker: str
    file: Path | None  # None: a command printed it
    line: int

    @property
    def location(self) -> str:
        """FILE:LINE, or what else has it."""
        if self.file is None:
            return "KnownHostsCommand"
        return f"{self.file}:{self.line}" if self.line else str(self.file)


def find(file: Path, name: str, cancel: Cancel) -> Iterator[Entry]:
    """A file's lines for a host. Raises UsageError if it can't be read."""
    if not openssh.installed():
        return _find_by_paramiko(file, name)
    try:
        return _find(str(file), "", name, cancel, file)
    except OSError as error:
        hint = f"ssh-keygen -F {name} -f '{file}' shows it: is the file on a disk that does not answer?"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error


def find_in_text(text: str, name: str, cancel: Cancel) -> Iterator[Entry]:
    """The lines for a host in what a command printed. Raises OSError if ssh-keygen does not answer."""
    return _find("/dev/stdin", text, name, cancel, None)


def _find(path: str, stdin: str, name: str, cancel: Cancel, file: Path | None) -> Iterator[Entry]:
    answer = openssh.run("ssh-keygen", "-F", name, "-f", path, cancel=cancel, stdin=stdin)
    if answer.returncode not in {0, 1}:  # 1: no line is the host's
        raise OSError(answer.stderr.strip())
    return _found(answer.stdout, file)


def _found(output: str, file: Path | None) -> Iterator[Entry]:
    """What `ssh-keygen -F` printed."""
    number = 0
    for line in output.splitlines():
        if header := FOUND.fullmatch(line):
            number = int(header[1])
        elif number and (entry := _entry(line, file, number)):
            yield entry


def _find_by_paramiko(file: Path, name: str) -> Iterator[Entry]:
    """The same without OpenSSH: paramiko reads names and hashes. Keys marked @revoked count for all hosts."""
    from paramiko import HostKeys, SSHException
    from paramiko.hostkeys import HostKeyEntry

    for number, line in enumerate(lines(file), 1):
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


def lines(file: Path) -> Sequence[str]:
    """A file's lines. Raises UsageError if it can't be read."""
    try:
        return file.read_text(errors="replace").split("\n")
    except OSError as error:
        hint = "make it readable for this user: host keys can't be verified without it"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error


def _entry(line: str, file: Path | None, number: int) -> Entry | None:
    """A line as an entry; None if it has no key that ssh could read."""
    words = line.split()
    marker = words.pop(0) if words and words[0].startswith("@") else ""
    if len(words) < 3 or marker not in {"", REVOKED, CERT_AUTHORITY}:
        return None
    try:
        key = _key(words[1], words[2])
        if marker and words[1].endswith(CERTIFIED):  # ssh compares the key alone
            key = certified_key(key)
        return Entry(Message(key).get_text(), key, marker, file, number)
    except ValueError:
        return None


def _key(kind: str, text: str) -> bytes:
    key = base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
    size = int.from_bytes(key[:4], "big")
    if key[4 : 4 + size] != kind.encode() or len(key) <= 4 + size or not is_readable(kind, key):
        raise binascii.Error(f"not a key of type {kind}")
    return key


_noted: set[str] = set()


def note_once(note: Note, text: str) -> None:
    """Say it unless it was said already: a host is connected to several times."""
    if text not in _noted:
        _noted.add(text)
        note(text)


def name_skipped_lines(file: Path, note: Note) -> None:
    """Say once which lines have no host key: ssh ignores them without a word."""
    skipped = [
        number
        for number, line in enumerate(lines(file), 1)
        if line.strip("\0 \t\r") and not line.lstrip().startswith("#") and not _entry(line, file, number)
    ]
    if skipped:
        more = f" and {len(skipped) - NAMED_LINES} more" if len(skipped) > NAMED_LINES else ""
        numbers = ", ".join(map(str, skipped[:NAMED_LINES]))
        note_once(note, f"{file}: skipped line {numbers}{more}, which ssh ignores: not a host key")
