"""One hop on the way to a host, and why it could not be opened: what paramiko raises, translated to our errors."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fabric import Connection
from paramiko import PKey
from paramiko.ssh_exception import AuthenticationException, PasswordRequiredException, SSHException

from slipway.errors import HostUnreachable, NextCommand, Problem, Unreachable, UsageError
from slipway.hosts.ssh import known_hosts
from slipway.hosts.ssh.known_hosts import Entry, KeyStatus

CONNECT_TIMEOUT = 10  # seconds to connect, and again for the banner and for the authentication


class HostKeyRejected(Exception):
    """A host's key that is not accepted, or was only to be read; `recorded` are the keys on record for its name."""

    def __init__(self, lookup_name: str, key: PKey, status: KeyStatus, recorded: list[Entry]) -> None:
        super().__init__(lookup_name)
        self.lookup_name, self.key, self.status, self.recorded = lookup_name, key, status, recorded


@dataclass
class Hop:
    """A jump host on the way to `destination`, or that itself.

    `name` is the one in hosts.yaml or ~/.ssh/config, `key` the only private key to try, `secrets` its own passwords.
    """

    name: str
    destination: str
    connection: Connection
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
    def connected(self) -> bool:
        """Whether its SSH server was reached, so that what failed is not the network."""
        transport = self.connection.client.get_transport()
        return transport is not None and transport.is_active()


@contextmanager
def translated_errors(hop: Hop) -> Iterator[None]:
    """Raise Unreachable, HostUnreachable or UsageError for what paramiko and sockets raise when a hop is opened."""
    try:
        yield
    except HostKeyRejected as rejected:
        raise _host_key_problem(hop, rejected) from None
    except PasswordRequiredException as error:
        raise _unreadable_key(hop, error) from error
    except AuthenticationException as error:
        raise _authentication_failed(hop, error) from error
    except SSHException as error:
        raise _ssh_problem(hop, error) from error
    except (OSError, EOFError) as error:
        raise _network_problem(hop, error) from error


def nothing_to_try(error: SSHException) -> bool:
    """Whether paramiko had no key, agent or password at all, for which it has no class of its own."""
    return "No authentication methods" in str(error)


def _host_key_problem(hop: Hop, rejected: HostKeyRejected) -> Problem:
    fingerprint = known_hosts.fingerprint(rejected.key.asbytes())
    trust = [NextCommand("host.trust", {"host": hop.destination})]
    if rejected.status is KeyStatus.UNKNOWN:
        hint = "compare its fingerprint with the host's own, then record it"
        details = f"{rejected.key.get_name()} {fingerprint}"
        summary = f"{hop.description}: its host key is not known here"
        return Unreachable(summary, details=details, hint=hint, commands=trust)
    if rejected.status is KeyStatus.REVOKED:
        details = f"{fingerprint} of {rejected.lookup_name} is marked @revoked"
        hint = "do not connect: this key was compromised. Ask whoever runs the host for its new one"
        return Unreachable(f"{hop.description}: its host key is REVOKED", details=details, hint=hint)
    entries = [one for one in rejected.recorded if one.kind == rejected.key.get_name()] or rejected.recorded
    on_record = "\n".join(f"on record {known_hosts.fingerprint(one.key)} ({one.location})" for one in entries)
    file = entries[0].file
    sudo = "sudo " if file == known_hosts.SYSTEM_FILE else ""
    hint = (
        "this may be a man-in-the-middle attack: ask whoever runs the host. If it was reinstalled: "
        f"{sudo}ssh-keygen -f '{file}' -R '{rejected.lookup_name}', then record the new key"
    )
    details = f"{on_record}\npresented {fingerprint}"
    summary = f"{hop.description}: its host key HAS CHANGED"
    return Unreachable(summary, details=details, hint=hint, commands=trust)


def _unreadable_key(hop: Hop, error: SSHException) -> Problem:
    reason = "the passphrase is wrong" if "passphrase" in hop.secrets else "it needs a passphrase"
    hint = "set SLIPWAY_SSH_PASSPHRASE to the key's passphrase, or configure another key in hosts.yaml"
    return UsageError(f"{hop.description}: its key can't be read: {reason}", details=_detailed(error), hint=hint)


def _authentication_failed(hop: Hop, error: AuthenticationException) -> Problem:
    user = hop.connection.user
    if "password" in hop.secrets:
        hint = f"the SSH password (SLIPWAY_SSH_PASSWORD, or what was typed) was not accepted for {user}"
    else:
        hint = f"install your public key there: ssh-copy-id {hop.connection.host}"
        if not hop.key:
            hint += "; or set SLIPWAY_SSH_PASSWORD"
    summary = f"{hop.description}: authentication failed for user {user}"
    return Unreachable(summary, details=str(error), hint=f"{hint}. {_debug_hint(hop)}")


def _ssh_problem(hop: Hop, error: SSHException) -> Problem:
    if nothing_to_try(error):
        hint = f"add a key to ssh-agent, configure one in hosts.yaml, or set SLIPWAY_SSH_PASSWORD. {_debug_hint(hop)}"
        summary = f"{hop.description}: no key or password to authenticate user {hop.connection.user} with"
        return Unreachable(summary, details=str(error), hint=hint)
    if hop.connected and type(error) is SSHException:  # paramiko's many messages for a key file that it can't open
        return _unreadable_key(hop, error)
    return HostUnreachable(f"{hop.description} can't be reached", details=_detailed(error), hint=_debug_hint(hop))


def _network_problem(hop: Hop, error: OSError | EOFError) -> Problem:
    port = hop.connection.port
    if isinstance(error, socket.gaierror):
        hint = "check `address` in hosts.yaml"
        return Unreachable(f"{hop.description}: the name has no address", details=str(error), hint=hint)
    if isinstance(error, ConnectionRefusedError):
        hint = f"check that sshd is running on port {port}. {_debug_hint(hop)}"
        return HostUnreachable(f"{hop.description} refuses connections", details=str(error), hint=hint)
    if isinstance(error, TimeoutError):
        hint = f"check that it is running, and that no firewall blocks port {port}. {_debug_hint(hop)}"
        summary = f"{hop.description} does not answer within {CONNECT_TIMEOUT} s"
        return HostUnreachable(summary, details=str(error), hint=hint)
    return HostUnreachable(f"{hop.description} can't be reached", details=_detailed(error), hint=_debug_hint(hop))


def _detailed(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _debug_hint(hop: Hop) -> str:
    return f"ssh -v {hop.name} shows more; the host is configured in hosts.yaml"
