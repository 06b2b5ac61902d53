"""One hop on the way to a host, and in plain words why it was not taken: its key, its login, its network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fabric import Connection
from paramiko import PKey
from paramiko.ssh_exception import AuthenticationException, PasswordRequiredException, SSHException

from slipway.errors import ConnectionLost, Problem, Unreachable, UsageError
from slipway.hosts.ssh import known_hosts as keys
from slipway.hosts.ssh.known_hosts import Entry, Standing

CONNECT = 10  # seconds to connect, and again for the banner and for the authentication
SYSTEM = Path("/etc/ssh/ssh_known_hosts")
NOTHING = "No authentication methods"  # how paramiko says that it had nothing to try


class HostUnreachable(ConnectionLost):
    """Nobody answers at a host's address."""


class HostKeyRejected(Exception):
    """A host's key that is not taken, or was only to be looked at; `recorded` is what is known of its place."""

    def __init__(self, place: str, key: PKey, standing: Standing, recorded: list[Entry]) -> None:
        super().__init__(place)
        self.place, self.key, self.standing, self.recorded = place, key, standing, recorded


@dataclass
class Hop:
    """A host on the way to `goal`, or that itself: its name in hosts.yaml or ~/.ssh/config, and its own secrets."""

    name: str
    goal: str
    link: Connection
    key: Path | None = None  # the one to try alone
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """It, as a message names it."""
        place = f" ({self.link.host})" if self.link.host != self.name else ""
        return f"{self.name}{place}" + (f", on the way to {self.goal}" if self.name != self.goal else "")


@contextmanager
def told(hop: Hop) -> Iterator[None]:
    """Turn what opening a hop raises into a Problem."""
    try:
        yield
    except HostKeyRejected as shown:
        raise _refused(hop, shown) from None
    except (OSError, EOFError, SSHException) as error:
        raise _failed(hop, error) from error


def _refused(hop: Hop, shown: HostKeyRejected) -> Problem:
    """Why a host's key is not taken."""
    fingerprint = keys.fingerprint(shown.key.asbytes())
    if shown.standing is Standing.UNKNOWN:
        hint = f"compare it with the host's own, then ./invoke host.trust --host {hop.goal}"
        details = f"{shown.key.get_name()} {fingerprint}"
        return Unreachable(f"{hop.where}: its host key is not known here", details=details, hint=hint)
    if shown.standing is Standing.REVOKED:
        details = f"{fingerprint} of {shown.place} is marked @revoked"
        hint = "do not connect: somebody holds that key who should not. Ask who runs the host for its new one"
        return Unreachable(f"{hop.where}: its host key is REVOKED", details=details, hint=hint)
    same = [entry for entry in shown.recorded if entry.kind == shown.key.get_name()] or shown.recorded
    recorded = "\n".join(f"on record {keys.fingerprint(entry.key)} ({entry.where})" for entry in same)
    root = "sudo " if same[0].file == SYSTEM else ""
    hint = (
        "somebody may be in between: ask who runs it. If the host was made anew: "
        f"{root}ssh-keygen -f '{same[0].file}' -R '{shown.place}', then ./invoke host.trust --host {hop.goal}"
    )
    details = f"{recorded}\nnow shown {fingerprint}"
    return Unreachable(f"{hop.where}: its host key HAS CHANGED", details=details, hint=hint)


def _failed(hop: Hop, error: Exception) -> Problem:
    """Why a host is not reached, or lets nobody in."""
    where, details, port = hop.where, f"{type(error).__name__}: {error}", hop.link.port
    check = f"ssh -v {hop.name} says more; the host's entry is in hosts.yaml"
    if isinstance(error, PasswordRequiredException) or (_passed(hop) and _unread(error)):
        summary = "passphrase does not open it" if "passphrase" in hop.secrets else "passphrase is wanted"
        hint = "set SLIPWAY_SSH_PASSPHRASE to the one of the key, or name another key in hosts.yaml"
        return UsageError(f"{where}: its key can't be read: the {summary}", details=details, hint=hint)
    if isinstance(error, AuthenticationException):
        hint = f"put your public key there: ssh-copy-id {hop.link.host}"
        if "password" in hop.secrets:
            hint = (
                f"the SSH password was not accepted (SLIPWAY_SSH_PASSWORD, or what was typed): is it {hop.link.user}'s?"
            )
        elif not hop.key:
            hint += "; or set SLIPWAY_SSH_PASSWORD"
        summary = f"{where}: authentication failed for user {hop.link.user}"
        return Unreachable(summary, details=str(error), hint=f"{hint}. {check}")
    if NOTHING in str(error):
        hint = f"start an agent with a key, name one in hosts.yaml, or set SLIPWAY_SSH_PASSWORD. {check}"
        summary = f"{where}: there is nothing to authenticate user {hop.link.user} with"
        return Unreachable(summary, details=str(error), hint=hint)
    if isinstance(error, socket.gaierror):
        hint = "is `address` in hosts.yaml spelled as the host is called?"
        return Unreachable(f"{where}: the name has no address", details=str(error), hint=hint)
    if isinstance(error, ConnectionRefusedError):
        return HostUnreachable(
            f"{where} refuses connections", details=str(error), hint=f"is sshd running on port {port}? {check}"
        )
    if isinstance(error, TimeoutError):
        hint = f"is it running, and does a firewall let port {port} through? {check}"
        return HostUnreachable(f"{where} does not answer within {CONNECT} s", details=str(error), hint=hint)
    return HostUnreachable(f"{where} can't be reached", details=details, hint=check)


def _passed(hop: Hop) -> bool:
    """Whether the host is connected to, so that what failed is not the way to it."""
    transport = hop.link.client.get_transport()
    return transport is not None and transport.is_active()


def _unread(error: Exception) -> bool:
    """Whether it is one of paramiko's many words for a key file that it can't open."""
    return type(error) is SSHException and NOTHING not in str(error)
