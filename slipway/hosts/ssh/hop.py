"""One hop on the way to a host, and why it could not be opened: what paramiko raises, translated to our errors."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paramiko  # noqa: F401  whole, before Fabric imports parts of it
from fabric import Connection
from paramiko import PKey
from paramiko.ssh_exception import (
    AuthenticationException,
    ChannelException,
    IncompatiblePeer,
    ProxyCommandFailure,
    SSHException,
)

from slipway.errors import ConnectionThrottled, HostUnreachable, NextCommand, Problem, Unreachable
from slipway.hosts.ssh import known_hosts
from slipway.hosts.ssh.authentication import NothingToOffer, TooManyFailures
from slipway.hosts.ssh.host_certificate import HostCertificate
from slipway.hosts.ssh.host_key import UnusableHostKey
from slipway.hosts.ssh.keepalive import MonitoredSocket
from slipway.hosts.ssh.known_hosts import KeyStatus, KnownHosts
from slipway.hosts.ssh.known_hosts_file import Entry
from slipway.hosts.ssh.ssh_config import SshConfig

CONNECT_TIMEOUT = 10  # seconds to connect, and again for the banner, where ~/.ssh/config has no ConnectTimeout
THROTTLED = b"Exceeded MaxStartups"  # what sshd says in place of its banner (sshd.c)


class HostKeyRejected(Exception):
    """A host's key that is not accepted, or was only to be read; `known` is what is on record for the host."""

    def __init__(
        self, known: KnownHosts, key: PKey, status: KeyStatus, certificate: HostCertificate | None = None
    ) -> None:
        super().__init__(known.lookup_name)
        self.known, self.key, self.status, self.certificate = known, key, status, certificate


@dataclass
class Hop:
    """A jump host on the way to `destination`, or that itself.

    `name` is the one in hosts.yaml or ~/.ssh/config, `key` the only private key to try, `secrets` its own passwords.
    """

    name: str
    destination: str
    connection: Connection
    config: SshConfig
    known: KnownHosts
    key: Path | None = None
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """The hop as a message names it."""
        address = f" ({self.connection.host})" if self.connection.host != self.name else ""
        return f"{self.name}{address}" + (
            f", on the way to {self.destination}" if self.name != self.destination else ""
        )

    @property
    def socket(self) -> MonitoredSocket | None:
        """The socket to its server, once there is one."""
        transport = self.connection.client.get_transport()
        return transport.sock if transport else None


@contextmanager
def translated_errors(hop: Hop) -> Iterator[None]:
    """Raise Unreachable, HostUnreachable or UsageError for what paramiko and sockets raise when a hop is opened."""
    try:
        yield
    except HostKeyRejected as rejected:
        raise _host_key_problem(hop, rejected) from None
    except AuthenticationException as error:
        raise _authentication_failed(hop, error) from error
    except (SSHException, OSError, EOFError, UnicodeError) as error:  # UnicodeError: names that are no text
        raise _no_connection(hop, error) from error


def _host_key_problem(hop: Hop, rejected: HostKeyRejected) -> Problem:
    key, known = rejected.key.asbytes(), rejected.known
    fingerprint = known_hosts.fingerprint(key)
    trust = [NextCommand("host.trust", {"host": hop.destination})]
    if rejected.status is KeyStatus.UNKNOWN:
        hint = "compare its fingerprint with the host's own, then record it"
        details = f"{rejected.key.get_name()} {fingerprint}"
        summary = f"{hop.description}: its host key is not known here"
        return Unreachable(summary, details=details, hint=hint, commands=trust)
    if rejected.status is KeyStatus.UNCERTIFIED:
        authorities = _locations(known.authorities)
        summary = f"{hop.description}: no authority that is known here ({authorities}) vouches for its host key"
        hint = (
            "have one of them sign a certificate for it (HostCertificate in its sshd_config); or compare the "
            "fingerprint with the host's own, then record the key"
        )
        details = f"{known.doubt(rejected.certificate)}\n{rejected.key.get_name()} {fingerprint}"
        return Unreachable(summary, details=details, hint=hint, commands=trust)
    if rejected.status is KeyStatus.REVOKED:
        return _revoked_problem(hop, rejected)
    entries = known.keys_of(rejected.key.get_name())
    on_record = "\n".join(f"on record {known_hosts.fingerprint(one.key)} ({one.location})" for one in entries)
    remedy = _remedy(entries[0], known)
    hint = f"this may be a man-in-the-middle attack: ask whoever runs the host. If it was reinstalled: {remedy}"
    details = f"{on_record}\npresented {fingerprint}"
    summary = f"{hop.description}: its host key HAS CHANGED"
    return Unreachable(summary, details=details, hint=hint, commands=trust)


def _revoked_problem(hop: Hop, rejected: HostKeyRejected) -> Problem:
    key, certificate, known = rejected.key.asbytes(), rejected.certificate, rejected.known
    revoking = known.revoking(key, certificate)
    revoked = {entry.key for entry in revoking}
    what, fingerprint = "certificate", ""
    if key in revoked:
        what, fingerprint = "host key", f" {known_hosts.fingerprint(key)}"
    elif certificate and certificate.authority in revoked:
        what, fingerprint = "certificate's authority", f" {known_hosts.fingerprint(certificate.authority)}"
    details = f"the {what}{fingerprint} of {known.lookup_name} is revoked by {_locations(revoking)}"
    hint = f"do not connect: this {what} was compromised. Ask whoever runs the host for its new one"
    return Unreachable(f"{hop.description}: its {what} is REVOKED", details=details, hint=hint)


def _locations(entries: Sequence[Entry]) -> str:
    return ", ".join(dict.fromkeys(entry.location for entry in entries))


def _remedy(entry: Entry, known: KnownHosts) -> str:
    """How to make room for a host's new key."""
    if entry.file is None:
        return f"correct what {entry.location} prints"
    sudo = "" if os.access(entry.file, os.W_OK) else "sudo "
    return f"{sudo}ssh-keygen -f '{entry.file}' -R '{known.lookup_name}', then record the new key"


def _authentication_failed(hop: Hop, error: AuthenticationException) -> Problem:
    user = hop.config.user
    if isinstance(error, NothingToOffer):
        hint = f"add a key to ssh-agent, configure one in hosts.yaml, or set SLIPWAY_SSH_PASSWORD. {_debug_hint(hop)}"
        summary = f"{hop.description}: no key or password to authenticate user {user} with"
        return Unreachable(summary, details=str(error), hint=hint)
    summary = f"{hop.description}: authentication failed for user {user}"
    if isinstance(error, TooManyFailures):
        hint = (
            "the host allows few attempts (MaxAuthTries): offer the right key alone, with `key` in hosts.yaml, or with "
        )
        hint += f"IdentityFile and `IdentitiesOnly yes` in ~/.ssh/config. {_debug_hint(hop)}"
        return Unreachable(f"{summary}: too many attempts", details=str(error), hint=hint)
    if "password" in hop.secrets:
        hint = f"the SSH password (SLIPWAY_SSH_PASSWORD, or what was typed) was not accepted for {user}"
    else:
        hint = f"install your public key there: ssh-copy-id {hop.connection.host}"
        if not hop.key:
            hint += "; or set SLIPWAY_SSH_PASSWORD"
    return Unreachable(summary, details=str(error), hint=f"{hint}. {_debug_hint(hop)}")


def _no_connection(hop: Hop, error: SSHException | OSError | EOFError | UnicodeError) -> Problem:
    """Why no SSH server was reached; a HostUnreachable where it may be there a moment later."""
    port, timeout = hop.connection.port, hop.connection.connect_timeout
    if isinstance(error, socket.gaierror):
        hint = "check `address` in hosts.yaml, and HostName in ~/.ssh/config"
        return Unreachable(f"{hop.description}: the name has no address", details=str(error), hint=hint)
    if isinstance(error, UnusableHostKey):
        hint = f"ssh refuses it too: whoever runs the host can make a new key, or certificate. {_debug_hint(hop)}"
        return Unreachable(f"{hop.description}: its host key can't be used", details=str(error), hint=hint)
    if isinstance(error, IncompatiblePeer):
        hint = f"its sshd_config, or HostKeyAlgorithms in ~/.ssh/config, leaves out what both know. {_debug_hint(hop)}"
        summary = f"{hop.description}: it has no algorithm in common with this machine"
        return Unreachable(summary, details=str(error), hint=hint)
    if isinstance(error, ChannelException):
        hint = f"{_debug_hint(hop)}. The jump host may forbid it: AllowTcpForwarding or PermitOpen in its sshd_config"
        summary = f"{hop.description} can't be reached from its jump host"
        return HostUnreachable(summary, details=str(error), hint=hint)
    if isinstance(error, ProxyCommandFailure):
        summary = f"{hop.description}: its ProxyCommand failed"
        return HostUnreachable(summary, details=str(error), hint=_debug_hint(hop))
    if isinstance(error, ConnectionRefusedError):
        hint = f"check that sshd is running on port {port}. {_debug_hint(hop)}"
        return HostUnreachable(f"{hop.description} refuses connections", details=str(error), hint=hint)
    if hop.socket and not hop.socket.greeted:
        return _no_banner(hop, hop.socket, error)
    if isinstance(error, TimeoutError):
        hint = f"check that it is running, and that no firewall blocks port {port}. {_debug_hint(hop)}"
        summary = f"{hop.description} does not answer within {timeout} s"
        return HostUnreachable(summary, details=str(error), hint=hint)
    return HostUnreachable(f"{hop.description} can't be reached", details=_detailed(error), hint=_debug_hint(hop))


def _no_banner(hop: Hop, sock: MonitoredSocket, error: Exception) -> Problem:
    """Why a connection got no banner of an SSH server."""
    port = hop.connection.port
    said = sock.head.decode(errors="replace").strip()
    if THROTTLED in sock.head or (sock.ended and not said):
        summary = f"{hop.description} closed the connection before its SSH banner"
        hint = f"too many connections may start at once: raise MaxStartups in its sshd_config. {_debug_hint(hop)}"
        details = said or sock.proxy_errors() or str(error)
        return ConnectionThrottled(summary, details=details, hint=hint)
    if said:
        hint = f"check the port in hosts.yaml and ~/.ssh/config. {_debug_hint(hop)}"
        summary = f"{hop.description}: what answers on port {port} is not an SSH server"
        return Unreachable(summary, details=said.splitlines()[0][:200], hint=hint)
    timeout = hop.connection.connect_timeout
    summary = f"{hop.description} accepts connections, but sends no SSH banner within {timeout} s"
    hint = f"its sshd may be overloaded; raise ConnectTimeout in ~/.ssh/config. {_debug_hint(hop)}"
    return HostUnreachable(summary, details=_detailed(error), hint=hint)


def _detailed(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _debug_hint(hop: Hop) -> str:
    return f"ssh -v {hop.name} shows more; the host is configured in hosts.yaml"
