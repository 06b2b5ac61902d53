"""Known host keys: which key a host may present, by the files and the command that ssh's configuration names."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from slipway.config.models import Hosts
from slipway.config.paths import expand_user, is_file
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.errors import UsageError
from slipway.hosts.ssh import known_hosts_file, openssh
from slipway.hosts.ssh.known_hosts_file import CERT_AUTHORITY, REVOKED, Entry, note_once
from slipway.hosts.ssh.ssh_config import SshConfig, expand

USER_FILE = "~/.ssh/known_hosts"
KRL_MAGIC = b"SSHKRL\n\0"  # what a key revocation list begins with (PROTOCOL.krl of OpenSSH)


class KeyStatus(StrEnum):
    """What is known about a key that a host presents."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"
    CERTIFIED = "certified"  # no key is on record, only an authority that may have signed the host's certificate


@dataclass(frozen=True)
class KnownHosts:
    """What is on record for one host.

    `entries` are the lines for its lookup name; `portless` those for its name without the port, which ssh falls back to
    when `[host]:port` has no key; `kinds` the types of key to negotiate first. `command` (KnownHostsCommand) and
    `revoked_files` (RevokedHostKeys) are asked about the key that the host presents.
    """

    lookup_name: str
    entries: tuple[Entry, ...] = ()
    portless: tuple[Entry, ...] = ()
    kinds: frozenset[str] = frozenset()
    command: tuple[str, ...] = ()
    revoked_files: tuple[Path, ...] = ()

    @property
    def keys(self) -> list[Entry]:
        """The keys on record; a host may have several, even of one type."""
        return [entry for entry in self.entries if not entry.marker]

    def keys_of(self, kind: str) -> list[Entry]:
        """The keys on record of one type, or all if there is none."""
        return [entry for entry in self.keys if entry.kind == kind] or self.keys

    def about(self, kind: str, key: bytes, cancel: Cancel) -> KnownHosts:
        """The same with what is on record for one key that the host presents.

        Raises UsageError if that can't be found out.
        """
        printed = _by_command(self.command, self.lookup_name, cancel, kind, key)
        revoked = [
            Entry(kind, key, REVOKED, file, 0) for file in self.revoked_files if _revokes(file, kind, key, cancel)
        ]
        return replace(self, entries=(*self.entries, *printed, *revoked))

    def revoking(self, key: bytes) -> list[Entry]:
        """What revokes a key."""
        return [one for one in (*self.entries, *self.portless) if (one.marker, one.key) == (REVOKED, key)]

    def status(self, key: bytes) -> KeyStatus:
        """What is known about the key that the host presents, by the rules of ssh (check_host_key)."""
        if self.revoking(key):
            return KeyStatus.REVOKED
        known = {entry.key for entry in self.keys}
        if known:
            return KeyStatus.KNOWN if key in known else KeyStatus.CHANGED
        if any(not entry.marker and entry.key == key for entry in self.portless):
            return KeyStatus.KNOWN
        certified = any(entry.marker == CERT_AUTHORITY for entry in (*self.entries, *self.portless))
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
    own = [file for file in config.user_known_hosts if file != Path("/dev/null")] or [openssh.expand_user(USER_FILE)]
    return [*own, *config.global_known_hosts]


def read(config: SshConfig, hosts: Hosts, report: Reporter) -> KnownHosts:
    """What is on record for a host in its files. A line that ssh skips is skipped, and named in a note.

    Raises UsageError for a file that can't be read, or a command that fails.
    """
    found = [file for file in files(config, hosts) if is_file(file)]
    for file in found:
        known_hosts_file.name_skipped_lines(file, report.note)
    name, command = config.lookup_name, config.known_hosts_command
    if hosts.known_hosts or not openssh.installed():
        command = ()
    if command and not _ssh_would_run(Path(command[0])):
        note_once(report.note, f"KnownHostsCommand {command[0]} is passed over, as by ssh: not the path of a program")
        command = ()
    entries, hostname = _in_files(found, name, report.cancel), config.hostname.lower()
    portless: tuple[Entry, ...] = ()
    if name.startswith("[") and not any(not entry.marker for entry in entries):
        portless = _in_files(found, hostname, report.cancel)
    preferred = (*entries, *_by_command(command, hostname, report.cancel))
    kinds = frozenset(entry.kind for entry in preferred if not entry.marker)
    return KnownHosts(name, entries, portless, kinds, command, config.revoked_host_keys)


def _ssh_would_run(program: Path) -> bool:
    return program.is_absolute() and program.exists()


def _in_files(files: Sequence[Path], name: str, cancel: Cancel) -> tuple[Entry, ...]:
    return tuple(entry for file in files for entry in known_hosts_file.find(file, name, cancel))


def _by_command(
    command: Sequence[str], name: str, cancel: Cancel, kind: str = "NONE", key: bytes | None = None
) -> tuple[Entry, ...]:
    """What KnownHostsCommand prints for a host (load_hostkeys_command in sshconnect.c).

    Without a key it is asked which types of keys to negotiate first.
    """
    if not command:
        return ()
    tokens = {"%": "%", "H": name, "I": "HOSTNAME" if key else "ORDER", "t": kind, "f": "NONE", "K": "NONE"}
    if key:
        tokens |= {"f": fingerprint(key), "K": base64.b64encode(key).decode()}
    hint = "correct KnownHostsCommand in ~/.ssh/config: ssh refuses the connection too"
    try:
        answer = openssh.run(command[0], *(expand(word, tokens) for word in command[1:]), cancel=cancel)
        found = tuple(known_hosts_file.find_in_text(answer.stdout, name, cancel))
    except OSError as error:
        raise UsageError(f"{name}: its KnownHostsCommand can't be run", details=str(error), hint=hint) from error
    if answer.returncode:
        details = answer.stderr.strip() or f"exit code {answer.returncode}"
        raise UsageError(f"{name}: its KnownHostsCommand failed", details=details, hint=hint)
    return found


def _revokes(file: Path, kind: str, key: bytes, cancel: Cancel) -> bool:
    """Whether a file of RevokedHostKeys, a list of public keys or a revocation list, has a key.

    Raises UsageError if it can't be read: ssh refuses every host then.
    """
    hint = "RevokedHostKeys in ~/.ssh/config names it, and ssh refuses every host while it can't be read"
    try:
        is_list = file.read_bytes().startswith(KRL_MAGIC)
    except OSError as error:
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error
    if not openssh.installed():
        raise UsageError(f"{file} can't be read without ssh-keygen", hint=f"install OpenSSH's client. {hint}")
    try:
        if not is_list:
            listed = openssh.run("ssh-keygen", "-l", "-f", str(file), cancel=cancel).stdout.splitlines()
            lines = (line.strip() for line in known_hosts_file.lines(file))
            if len(listed) != sum(1 for line in lines if line and not line.startswith("#")):
                raise UsageError(f"{file} can't be read", details="not every line of it is a public key", hint=hint)
            return any(fingerprint(key) in line.split() for line in listed)
        line = f"{kind} {base64.b64encode(key).decode()}\n"
        answer = openssh.run("ssh-keygen", "-Q", "-f", str(file), "/dev/stdin", cancel=cancel, stdin=line)
    except TimeoutError as error:
        raise UsageError(f"{file}: {error}", hint=hint) from None
    if answer.returncode not in {0, 1}:
        raise UsageError(f"{file} can't be read", details=answer.stderr.strip(), hint=hint)
    return answer.returncode == 1
