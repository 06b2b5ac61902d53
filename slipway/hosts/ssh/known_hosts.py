"""Known host keys: which key a host may present, by the files and the command that ssh's configuration names."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from paramiko import Message

from slipway.config.models import Hosts
from slipway.config.paths import expand_user, is_file
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.errors import UsageError
from slipway.hosts.ssh import known_hosts_file, openssh
from slipway.hosts.ssh.host_certificate import HostCertificate
from slipway.hosts.ssh.host_key import CERTIFIED, key_type
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
    UNCERTIFIED = "uncertified"  # no key is on record, only an authority, and the host has no certificate of it


@dataclass(frozen=True)
class KnownHosts:
    """What is on record for the host of `config`.

    `entries` are the lines for its lookup name, `portless` those for its name without the port, which ssh falls back
    to; `files` are what both are looked up in. `command` (KnownHostsCommand) is asked about the key that the host
    presents. `algorithms` are those of host keys to negotiate, the first one first.
    """

    config: SshConfig
    entries: tuple[Entry, ...] = ()
    portless: tuple[Entry, ...] = ()
    files: tuple[Path, ...] = ()
    command: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()

    @property
    def lookup_name(self) -> str:
        """The name under which its key is recorded."""
        return self.config.lookup_name

    @property
    def keys(self) -> list[Entry]:
        """The keys on record; a host may have several, even of one type."""
        return [entry for entry in self.entries if not entry.marker]

    def keys_of(self, kind: str) -> list[Entry]:
        """The keys on record of one type, or all if there is none."""
        return [entry for entry in self.keys if entry.kind == kind] or self.keys

    @property
    def authorities(self) -> list[Entry]:
        """Those whose certificates of the host are believed."""
        return [one for one in (*self.entries, *self.portless) if one.marker == CERT_AUTHORITY]

    def about(self, kind: str, key: bytes, cancel: Cancel, certificate: HostCertificate | None = None) -> KnownHosts:
        """The same with what is on record for one key, and its certificate, that the host presents.

        Raises UsageError if that can't be found out.
        """
        printed = _by_command(self.command, self.lookup_name, cancel, kind, key, certificate)
        presented = [(kind, key)]
        if certificate:
            authority = certificate.authority
            presented += [(certificate.kind, certificate.blob), (Message(authority).get_text(), authority)]
        revoked = [
            Entry(*one, REVOKED, file, 0)
            for file in self.config.revoked_host_keys
            for one in presented
            if _revokes(file, *one, cancel)
        ]
        entries = (*self.entries, *printed, *revoked)
        portless: tuple[Entry, ...] = ()
        has_port = self.lookup_name.startswith("[") and not self.config.host_key_alias
        if has_port and (certificate or not self.keys):
            portless = _in_files(self.files, self.config.hostname.lower(), cancel)
        return replace(self, entries=entries, portless=portless)

    def revoking(self, key: bytes, certificate: HostCertificate | None) -> list[Entry]:
        """What revokes a key, its certificate, or who signed that."""
        return _revoking((*self.entries, *self.portless), key, certificate)

    def doubt(self, certificate: HostCertificate | None) -> str:
        """Why the certificate that a host presents does not count."""
        if certificate is None:
            return "it presents no certificate"
        if certificate.authority not in {one.key for one in self.authorities}:
            return f"its certificate is signed by another, {fingerprint(certificate.authority)}"
        return f"its certificate does not count: {self._invalid(certificate)}"

    def _invalid(self, certificate: HostCertificate) -> str:
        name = self.config.host_key_alias or self.config.hostname
        return certificate.doubt(name.lower(), self.config.ca_signature_algorithms)

    def status(self, key: bytes, certificate: HostCertificate | None = None) -> KeyStatus:
        """What is known about the key that the host presents."""
        found = self._checked(key, certificate, self.entries, self.portless)
        if found is not KeyStatus.KNOWN and self.revoking(key, certificate):
            return KeyStatus.REVOKED
        return KeyStatus.UNCERTIFIED if found is KeyStatus.UNKNOWN and self.authorities else found

    def _checked(
        self,
        key: bytes,
        certificate: HostCertificate | None,
        entries: tuple[Entry, ...],
        portless: tuple[Entry, ...] = (),
    ) -> KeyStatus:
        """What ssh finds (check_host_key in sshconnect.c): a certificate that does not count is a plain key."""
        found = self._compared(key, certificate, entries)
        unknown = found is KeyStatus.UNKNOWN
        if unknown and portless and self._checked(key, certificate, portless) is KeyStatus.KNOWN:
            return KeyStatus.KNOWN
        if certificate and found not in {KeyStatus.KNOWN, KeyStatus.REVOKED}:
            return self._checked(key, None, entries, portless)
        return found

    def _compared(self, key: bytes, certificate: HostCertificate | None, entries: tuple[Entry, ...]) -> KeyStatus:
        if _revoking(entries, key, certificate):
            return KeyStatus.REVOKED
        if certificate:
            if not any(one.marker == CERT_AUTHORITY and one.key == certificate.authority for one in entries):
                return KeyStatus.UNKNOWN
            return KeyStatus.CHANGED if self._invalid(certificate) else KeyStatus.KNOWN
        known = {entry.key for entry in entries if not entry.marker}
        if not known:
            return KeyStatus.UNKNOWN
        return KeyStatus.KNOWN if key in known else KeyStatus.CHANGED


def _revoking(entries: Sequence[Entry], key: bytes, certificate: HostCertificate | None) -> list[Entry]:
    keys = {key, certificate.authority, certificate.blob} if certificate else {key}
    return [entry for entry in entries if entry.marker == REVOKED and entry.key in keys]


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
    preferred = (*entries, *_by_command(command, hostname, report.cancel))
    algorithms = _ordered(config.host_key_algorithms, preferred)
    return KnownHosts(config, entries, files=tuple(found), command=command, algorithms=algorithms)


def _ordered(algorithms: Sequence[str], entries: Sequence[Entry]) -> tuple[str, ...]:
    """The algorithms of host keys as ssh prefers them (order_hostkeyalgs in sshconnect2.c).

    As they are if the first one's key is on record; else those first whose key, or an authority for which, is. Of
    several keys of a type the first one decides: it must not be revoked.
    """
    first: dict[str, bytes] = {}
    for entry in entries:
        if not entry.marker:
            first.setdefault(entry.kind, entry.key)
    kinds = {kind for kind, key in first.items() if not _revoking(entries, key, None)}
    has_authority = any(entry.marker == CERT_AUTHORITY for entry in entries)

    def known(algorithm: str) -> bool:
        return key_type(algorithm).removesuffix(CERTIFIED) in kinds

    def last(algorithm: str) -> bool:
        return not (known(algorithm) or (has_authority and algorithm.endswith(CERTIFIED)))

    return tuple(algorithms if any(map(known, algorithms[:1])) else sorted(algorithms, key=last))


def _ssh_would_run(program: Path) -> bool:
    return program.is_absolute() and program.exists()


def _in_files(files: Sequence[Path], name: str, cancel: Cancel) -> tuple[Entry, ...]:
    return tuple(entry for file in files for entry in known_hosts_file.find(file, name, cancel))


def _by_command(
    command: Sequence[str],
    name: str,
    cancel: Cancel,
    kind: str = "NONE",
    key: bytes | None = None,
    certificate: HostCertificate | None = None,
) -> tuple[Entry, ...]:
    """What KnownHostsCommand prints for a host (load_hostkeys_command in sshconnect.c).

    Without a key it is asked which types of keys to negotiate first.
    """
    if not command:
        return ()
    tokens = {"%": "%", "H": name, "I": "HOSTNAME" if key else "ORDER", "t": kind, "f": "NONE", "K": "NONE"}
    if key:
        tokens |= {"f": fingerprint(key), "K": base64.b64encode(key).decode()}
    if certificate:
        tokens |= {"t": certificate.kind, "K": base64.b64encode(certificate.blob).decode()}
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
