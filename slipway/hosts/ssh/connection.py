"""One verified SSH connection, made by Fabric with the user's ssh_config and agent; every refusal in plain words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from fabric import Config, Connection
from paramiko import PKey, SSHClient, Transport
from paramiko.client import MissingHostKeyPolicy
from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    PasswordRequiredException,
    SSHException,
)

from slipway.config.load import at_home, given
from slipway.config.models import HostEntry, Hosts
from slipway.engine.steps import Cancel
from slipway.errors import Cancelled, UsageError
from slipway.hosts.ssh import keepalive as alive
from slipway.hosts.ssh import known_hosts as keys
from slipway.hosts.ssh.jump import CONNECT, NOTHING, SYSTEM, Hop, HostKeyRejected, told
from slipway.hosts.ssh.known_hosts import Known, Standing

SECRETS = {"password": "SLIPWAY_SSH_PASSWORD", "passphrase": "SLIPWAY_SSH_PASSPHRASE"}


class Ask(Protocol):
    """Who is asked for a secret of a host: `sudo`, `password` or `passphrase`. Raises Problem if nobody can say."""

    def __call__(self, kind: str, host: str) -> str: ...


class _Guard(MissingHostKeyPolicy):
    """Asked about every key, since paramiko itself is told of none."""

    def __init__(self, known: Known, *, look: bool) -> None:
        self._known, self._look = known, look

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002  a fixed signature
        standing = self._known.standing(hostname, key.asbytes())
        if self._look or standing is not Standing.GOOD:
            raise HostKeyRejected(hostname, key, standing, self._known.of(hostname))


def entry(name: str, hosts: Hosts) -> HostEntry:
    """A host of hosts.yaml, or one that only ~/.ssh/config knows."""
    return hosts.hosts.get(name) or HostEntry(address=name)


def known_hosts(hosts: Hosts) -> Path:
    """The file that host keys are looked up in and recorded to."""
    return at_home(hosts.known_hosts or "~/.ssh/known_hosts")


@cache
def _config() -> Config:
    try:
        return Config()
    except (OSError, SSHException) as error:
        hint = "mend it, or let this user read it: ssh -G localhost tries it"
        raise UsageError("~/.ssh/config can't be read", details=str(error), hint=hint) from error


def way(name: str, hosts: Hosts, *, look: bool = False) -> list[Hop]:
    """The hops to a host, none open yet: the nearest first, the host last, whose key is only looked at with `look`."""
    names = [name]
    while jump := entry(names[-1], hosts).jump:
        if jump in names:
            circle, hint = " → ".join((*names, jump)), "take one `jump` out of hosts.yaml"
            raise UsageError(f"{name}: its jumps go in a circle", details=circle, hint=hint)
        names.append(jump)
    hops: list[Hop] = []
    for one in reversed(names):
        mine, before = entry(one, hosts), hops[-1].link if hops else None
        made = Connection(mine.address, user=mine.user, port=mine.port, gateway=before, config=_config())
        if before is None:  # the jumps of ~/.ssh/config
            hops += [Hop(link.original_host, name, link) for link in reversed(list(_links(made))[1:])]
        hops.append(Hop(one, name, made, at_home(mine.key) if mine.key else None))
    known = keys.read([known_hosts(hosts), *([] if hosts.known_hosts else [SYSTEM])])
    for hop in hops:
        _guard(hop, known, look=look and hop is hops[-1])
    return hops


def _links(link: Any) -> Iterator[Connection]:
    while isinstance(link, Connection):
        yield link
        link = link.gateway


def _guard(hop: Hop, known: Known, *, look: bool) -> None:
    """Let a hop be opened only with a key that is known, of a type that is on record where there is one."""
    kinds = {entry.kind for entry in known.of(keys.place(hop.link.host, hop.link.port))}
    if "ssh-rsa" in kinds:
        kinds |= {"rsa-sha2-512", "rsa-sha2-256"}  # the same key, signed with another hash (RFC 8332)

    def transport(sock: Any, **options: Any) -> Transport:
        watched: Any = alive.MonitoredSocket(sock)
        made = Transport(watched, **options)
        wanted = made.get_security_options()
        wanted.key_types = sorted(wanted.key_types, key=lambda kind: kind not in kinds)
        return made

    options = {f"{summary}_timeout": CONNECT for summary in ("banner", "auth", "channel")}
    files = [name for name in hop.link.connect_kwargs.get("key_filename") or () if at_home(name).is_file()]
    hop.link.connect_kwargs = {
        **hop.link.connect_kwargs,
        **options,
        "key_filename": files,
        "transport_factory": transport,
    }
    if hop.key:
        hop.link.connect_kwargs |= {"key_filename": None, "look_for_keys": False, "allow_agent": False}
    hop.link.client.set_missing_host_key_policy(_Guard(known, look=look))


def connect(name: str, hosts: Hosts, ask: Ask, cancel: Cancel) -> Connection:
    """An open connection, every hop of it verified and guarded. Raises Problem that says why there is none."""
    hops = way(name, hosts)
    with _opening(hops, cancel):
        for hop in hops:
            with told(hop):
                _open(hop, ask, cancel)
    return hops[-1].link


@contextmanager
def _opening(hops: list[Hop], cancel: Cancel) -> Iterator[None]:
    """Whatever goes wrong leaves nothing open; a run that is to end ends what is waited for."""
    forget = cancel.on_request(lambda: _end(hops[-1].link))
    try:
        yield
    except BaseException:
        close(hops[-1].link)
        if cancel.requested:
            raise Cancelled from None
        raise
    finally:
        forget()


def _open(hop: Hop, ask: Ask, cancel: Cancel) -> None:
    """Open a hop, the way to which is open, with its own secrets; one that turns out to be wanted is asked for."""
    for kind, variable in SECRETS.items():
        if given(variable, hop.name) is not None:
            hop.secrets[kind] = ask(kind, hop.name)
    while True:
        hop.link.connect_kwargs |= hop.secrets
        try:
            if hop.key:
                hop.link.connect_kwargs["pkey"] = _key(hop.key, hop.secrets.get("passphrase"))
            if hop.link.gateway is None:
                timeout = hop.link.connect_timeout or CONNECT
                hop.link.connect_kwargs["sock"] = alive.dial(hop.link.host, hop.link.port, timeout, cancel)
            hop.link.open()
        except PasswordRequiredException:
            if "passphrase" in hop.secrets:
                raise
            hop.secrets["passphrase"] = ask("passphrase", hop.name)
        except SSHException as error:
            tried = isinstance(error, AuthenticationException)
            if not (tried or NOTHING in str(error)) or hop.key or "password" in hop.secrets:
                raise
            if not _accepts(hop, error) & {"password", "keyboard-interactive"}:
                raise
            hop.secrets["password"] = ask("password", hop.name)
        else:
            alive.keep(hop.link.transport)
            return
        cancel.check()
        hop.link.client.close()


def _accepts(hop: Hop, error: SSHException) -> set[str]:
    """The ways to authenticate that a host offers; none where it has hung up."""
    transport = hop.link.client.get_transport()
    try:
        if not isinstance(error, BadAuthenticationType) and transport:
            transport.auth_none(hop.link.user)
    except BadAuthenticationType as refusal:
        error = refusal
    except (SSHException, OSError, EOFError):
        return set()
    return set(error.allowed_types) if isinstance(error, BadAuthenticationType) else set()


def _key(file: Path, passphrase: str | None) -> PKey:
    """A private key. Raises PasswordRequiredException if it is sealed, Problem if it is no key or can't be opened."""
    try:
        sealed: Any = passphrase.encode() if passphrase else None  # bytes, as cryptography wants it
        return PKey.from_path(file, sealed)
    except OSError as error:
        hint = "is `key` in hosts.yaml the private key's path?"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error
    except TypeError as error:
        if passphrase:
            hint = "is it the private key? it has no passphrase"
            raise UsageError(f"{file} could not be opened", details=str(error), hint=hint) from error
        raise PasswordRequiredException(f"{file} is sealed") from error
    except Exception as error:
        summary = "the passphrase is not this key's" if passphrase else "that is not a private key"
        hint = f"ssh-keygen -yf {file} tries it; SLIPWAY_SSH_PASSPHRASE may say the passphrase"
        raise UsageError(f"{file}: {summary}", details=str(error), hint=hint) from error


def _end(link: Connection) -> None:
    """Hang up, on the nearest hop first: the readers behind it end at once."""
    for one in reversed(list(_links(link))):
        transport = one.client.get_transport()
        if transport:
            transport.sock.end()


def close(link: Connection) -> None:
    """End a connection, and the hops before it."""
    _end(link)
    for one in _links(link):
        one.client.close()


@dataclass(frozen=True)
class Offer:
    """The key that a host, or a hop on the way to it, shows; `place` is the name under which it is kept."""

    hop: str
    place: str
    key: PKey
    known: bool


def offered(name: str, hosts: Hosts, ask: Ask, cancel: Cancel) -> Offer:
    """The key of a host, or of the first hop on the way to it that is not known. No login where the key is shown.

    Raises Problem if nobody answers, or if a key has changed.
    """
    hops = way(name, hosts, look=True)
    with _opening(hops, cancel):
        for hop in hops:
            with told(hop):
                try:
                    _open(hop, ask, cancel)
                except HostKeyRejected as shown:
                    if shown.standing not in {Standing.GOOD, Standing.UNKNOWN}:
                        raise
                    close(hops[-1].link)
                    return Offer(hop.name, shown.place, shown.key, shown.standing is Standing.GOOD)
    raise AssertionError  # pragma: no cover  the last hop's key is only looked at


def record(place: str, key: PKey, hosts: Hosts) -> Path:
    """Write a key behind the known ones; the file. Raises Problem if it can't be written."""
    file = known_hosts(hosts)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+", errors="replace") as kept:
            text = kept.read()
            line = f"{place} {key.get_name()} {key.get_base64()}\n"
            kept.write(line if not text or text.endswith("\n") else f"\n{line}")
    except OSError as error:
        hint = "make room there, or check its rights; `known_hosts` of hosts.yaml names another file"
        raise UsageError(f"{file} can't be written", details=str(error), hint=hint) from error
    return file
