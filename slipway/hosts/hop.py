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

from slipway.errors import ExitCode, Lost, Problem
from slipway.hosts import keys
from slipway.hosts.keys import Entry, Standing

CONNECT = 10  # seconds to connect, and again for the banner and for the authentication
SYSTEM = Path("/etc/ssh/ssh_known_hosts")
NOTHING = "No authentication methods"  # how paramiko says that it had nothing to try


class Away(Lost):
    """Nobody answers at a host's address."""


class Shown(Exception):
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
    except Shown as shown:
        raise _refused(hop, shown) from None
    except (OSError, EOFError, SSHException) as error:
        raise _failed(hop, error) from error


def _refused(hop: Hop, shown: Shown) -> Problem:
    """Why a host's key is not taken."""
    fingerprint = keys.fingerprint(shown.key.asbytes())
    if shown.standing is Standing.UNKNOWN:
        fix = f"compare it with the host's own, then ./invoke host.trust --host {hop.goal}"
        why = f"{shown.key.get_name()} {fingerprint}"
        return Problem(f"{hop.where}: its host key is not known here", why=why, fix=fix, code=ExitCode.UNREACHABLE)
    if shown.standing is Standing.REVOKED:
        why = f"{fingerprint} of {shown.place} is marked @revoked"
        fix = "do not connect: somebody holds that key who should not. Ask who runs the host for its new one"
        return Problem(f"{hop.where}: its host key is REVOKED", why=why, fix=fix, code=ExitCode.UNREACHABLE)
    same = [entry for entry in shown.recorded if entry.kind == shown.key.get_name()] or shown.recorded
    recorded = "\n".join(f"on record {keys.fingerprint(entry.key)} ({entry.where})" for entry in same)
    root = "sudo " if same[0].file == SYSTEM else ""
    fix = (
        "somebody may be in between: ask who runs it. If the host was made anew: "
        f"{root}ssh-keygen -f '{same[0].file}' -R '{shown.place}', then ./invoke host.trust --host {hop.goal}"
    )
    why = f"{recorded}\nnow shown {fingerprint}"
    return Problem(f"{hop.where}: its host key HAS CHANGED", why=why, fix=fix, code=ExitCode.UNREACHABLE)


def _failed(hop: Hop, error: Exception) -> Problem:
    """Why a host is not reached, or lets nobody in."""
    where, why, port = hop.where, f"{type(error).__name__}: {error}", hop.link.port
    check = f"ssh -v {hop.name} says more; the host's entry is in hosts.yaml"
    if isinstance(error, PasswordRequiredException) or (_passed(hop) and _unread(error)):
        what = "passphrase does not open it" if "passphrase" in hop.secrets else "passphrase is wanted"
        fix = "set SLIPWAY_SSH_PASSPHRASE to the one of the key, or name another key in hosts.yaml"
        return Problem(f"{where}: its key can't be read: the {what}", why=why, fix=fix, code=ExitCode.USAGE)
    if isinstance(error, AuthenticationException):
        fix = f"put your public key there: ssh-copy-id {hop.link.host}"
        if "password" in hop.secrets:
            fix = (
                f"the SSH password was not accepted (SLIPWAY_SSH_PASSWORD, or what was typed): is it {hop.link.user}'s?"
            )
        elif not hop.key:
            fix += "; or set SLIPWAY_SSH_PASSWORD"
        what = f"{where}: authentication failed for user {hop.link.user}"
        return Problem(what, why=str(error), fix=f"{fix}. {check}", code=ExitCode.UNREACHABLE)
    if NOTHING in str(error):
        fix = f"start an agent with a key, name one in hosts.yaml, or set SLIPWAY_SSH_PASSWORD. {check}"
        what = f"{where}: there is nothing to authenticate user {hop.link.user} with"
        return Problem(what, why=str(error), fix=fix, code=ExitCode.UNREACHABLE)
    if isinstance(error, socket.gaierror):
        fix = "is `address` in hosts.yaml spelled as the host is called?"
        return Problem(f"{where}: the name has no address", why=str(error), fix=fix, code=ExitCode.UNREACHABLE)
    if isinstance(error, ConnectionRefusedError):
        return Away(f"{where} refuses connections", why=str(error), fix=f"is sshd running on port {port}? {check}")
    if isinstance(error, TimeoutError):
        fix = f"is it running, and does a firewall let port {port} through? {check}"
        return Away(f"{where} does not answer within {CONNECT} s", why=str(error), fix=fix)
    return Away(f"{where} can't be reached", why=why, fix=check)


def _passed(hop: Hop) -> bool:
    """Whether the host is connected to, so that what failed is not the way to it."""
    transport = hop.link.client.get_transport()
    return transport is not None and transport.is_active()


def _unread(error: Exception) -> bool:
    """Whether it is one of paramiko's many words for a key file that it can't open."""
    return type(error) is SSHException and NOTHING not in str(error)
