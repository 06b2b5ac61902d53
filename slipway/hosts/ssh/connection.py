"""One verified SSH connection, made by Fabric with the user's ssh_config and agent, hop by hop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

from slipway.config.host_secrets import host_secret
from slipway.config.models import HostEntry, Hosts
from slipway.config.paths import expand_user
from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled, UsageError
from slipway.hosts.ssh import keepalive, known_hosts
from slipway.hosts.ssh.jump import (
    CONNECT_TIMEOUT,
    Hop,
    HostKeyRejected,
    nothing_to_try,
    translated_errors,
)
from slipway.hosts.ssh.known_hosts import KeyStatus, KnownHosts


class AskSecret(Protocol):
    """Asks for a secret of a host: `sudo`, `password` or `passphrase`. Raises UsageError if nobody can be asked."""

    def __call__(self, kind: str, host: str) -> str: ...


def connect(name: str, hosts: Hosts, ask: AskSecret, cancel: Cancel) -> Connection:
    """An open connection with every hop verified and kept alive. Raises Unreachable or UsageError that says why not."""
    hops = hops_to(name, hosts, known_hosts.read(known_hosts.files(hosts)))
    with closed_on_failure(hops, cancel):
        for hop in hops:
            with translated_errors(hop):
                open_hop(hop, ask, cancel)
    return hops[-1].connection


def close(connection: Connection) -> None:
    """End a connection, and the hops before it."""
    _shut_down(connection)
    for hop in _with_gateways(connection):
        hop.client.close()


# Before connecting: which hops there are, and which keys they may present


def hops_to(name: str, hosts: Hosts, known: KnownHosts) -> list[Hop]:
    """The hops to a host, none open yet: the nearest first, the host itself last; each must present a known key."""
    names = [name]
    while jump := host_entry(names[-1], hosts).jump:
        if jump in names:
            loop, hint = " → ".join((*names, jump)), "remove one `jump` from hosts.yaml"
            raise UsageError(f"{name}: its jump hosts form a loop", details=loop, hint=hint)
        names.append(jump)
    hops: list[Hop] = []
    for one in reversed(names):
        entry, gateway = host_entry(one, hosts), hops[-1].connection if hops else None
        connection = Connection(entry.address, user=entry.user, port=entry.port, gateway=gateway, config=_ssh_config())
        if gateway is None:  # the ProxyJump hosts of ~/.ssh/config
            gateways = reversed(list(_with_gateways(connection))[1:])
            hops += [Hop(jump_host.original_host, name, jump_host) for jump_host in gateways]
        hops.append(Hop(one, name, connection, expand_user(entry.key) if entry.key else None))
    for hop in hops:
        _configure(hop, known)
    return hops


def host_entry(name: str, hosts: Hosts) -> HostEntry:
    """A host of hosts.yaml, or one that only ~/.ssh/config knows."""
    return hosts.hosts.get(name) or HostEntry(address=name)


@cache
def _ssh_config() -> Config:
    try:
        return Config()
    except (OSError, SSHException) as error:
        hint = "correct it, or make it readable for this user: ssh -G localhost shows the error"
        raise UsageError("~/.ssh/config can't be read", details=str(error), hint=hint) from error


def _with_gateways(connection: Any) -> Iterator[Connection]:
    """A connection, then the one that it goes through, and so on."""
    while isinstance(connection, Connection):
        yield connection
        connection = connection.gateway


class VerifyKnownKey(MissingHostKeyPolicy):
    """Accepts only known keys. Paramiko asks it about every key, since its own list of them is empty."""

    def __init__(self, known: KnownHosts) -> None:
        self._known = known

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002  a fixed signature
        if (status := self._known.status(hostname, key.asbytes())) is not KeyStatus.KNOWN:
            raise HostKeyRejected(hostname, key, status, self._known.keys_of(hostname))


def _configure(hop: Hop, known: KnownHosts) -> None:
    """Let a hop be opened only with a known key; types of keys that are on record are asked for first."""
    connection = hop.connection
    kinds = {entry.kind for entry in known.keys_of(known_hosts.lookup_name(connection.host, connection.port))}
    if "ssh-rsa" in kinds:
        kinds |= {"rsa-sha2-512", "rsa-sha2-256"}  # the same key, signed with another hash (RFC 8332)

    def monitored_transport(sock: Any, **options: Any) -> Transport:
        monitored: Any = keepalive.MonitoredSocket(sock)
        transport = Transport(monitored, **options)
        security = transport.get_security_options()
        security.key_types = sorted(security.key_types, key=lambda kind: kind not in kinds)
        return transport

    connection.connect_kwargs = {
        **connection.connect_kwargs,
        **{f"{phase}_timeout": CONNECT_TIMEOUT for phase in ("banner", "auth", "channel")},
        "key_filename": [
            file for file in connection.connect_kwargs.get("key_filename") or () if expand_user(file).is_file()
        ],
        "transport_factory": monitored_transport,
    }
    if hop.key:
        connection.connect_kwargs |= {"key_filename": None, "look_for_keys": False, "allow_agent": False}
    connection.client.set_missing_host_key_policy(VerifyKnownKey(known))


# Connecting


@contextmanager
def closed_on_failure(hops: list[Hop], cancel: Cancel) -> Iterator[None]:
    """Whatever fails leaves no hop open; cancellation interrupts what is waited for, and raises Cancelled."""
    connection = hops[-1].connection
    unregister = cancel.on_request(lambda: _shut_down(connection))
    try:
        yield
    except BaseException:
        close(connection)
        if cancel.requested:
            raise Cancelled from None
        raise
    finally:
        unregister()


def open_hop(hop: Hop, ask: AskSecret, cancel: Cancel) -> None:
    """Open a hop behind open ones with its own secrets; one that turns out to be needed is asked for.

    Raises what sockets and paramiko raise; `translated_errors` translates it.
    """
    for kind in ("password", "passphrase"):
        if host_secret(kind, hop.name) is not None:
            hop.secrets[kind] = ask(kind, hop.name)
    connection = hop.connection
    while True:
        connection.connect_kwargs |= hop.secrets
        try:
            if hop.key:
                connection.connect_kwargs["pkey"] = load_private_key(hop.key, hop.secrets.get("passphrase"))
            if connection.gateway is None:
                timeout = connection.connect_timeout or CONNECT_TIMEOUT
                sock = keepalive.connect_tcp(connection.host, connection.port, timeout, cancel)
                connection.connect_kwargs["sock"] = sock
            connection.open()
        except PasswordRequiredException:
            if "passphrase" in hop.secrets:
                raise
            hop.secrets["passphrase"] = ask("passphrase", hop.name)
        except SSHException as error:
            keys_rejected = isinstance(error, AuthenticationException) or nothing_to_try(error)
            if not keys_rejected or hop.key or "password" in hop.secrets:
                raise
            if not _authentication_methods(hop, error) & {"password", "keyboard-interactive"}:
                raise
            hop.secrets["password"] = ask("password", hop.name)
        else:
            keepalive.start_keepalive(connection.transport)
            return
        cancel.check()
        connection.client.close()


def _authentication_methods(hop: Hop, error: SSHException) -> set[str]:
    """The authentication methods that a host offers; none if it has closed the connection."""
    transport = hop.connection.client.get_transport()
    try:
        if not isinstance(error, BadAuthenticationType) and transport:
            transport.auth_none(hop.connection.user)
    except BadAuthenticationType as refusal:
        error = refusal
    except (SSHException, OSError, EOFError):
        return set()
    return set(error.allowed_types) if isinstance(error, BadAuthenticationType) else set()


def load_private_key(file: Path, passphrase: str | None) -> PKey:
    """A private key. Raises PasswordRequiredException if it is encrypted, UsageError if it can't be read."""
    try:
        encoded: Any = passphrase.encode() if passphrase else None  # bytes, as cryptography wants it
        return PKey.from_path(file, encoded)
    except OSError as error:
        hint = "check that `key` in hosts.yaml is the path of the private key"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error
    except TypeError as error:
        if passphrase:
            hint = "check that it is the private key; it has no passphrase"
            raise UsageError(f"{file} could not be loaded", details=str(error), hint=hint) from error
        raise PasswordRequiredException(f"{file} is encrypted") from error
    except Exception as error:
        summary = "wrong passphrase" if passphrase else "not a private key"
        hint = f"ssh-keygen -yf {file} shows whether it can be read; SLIPWAY_SSH_PASSPHRASE may hold the passphrase"
        raise UsageError(f"{file}: {summary}", details=str(error), hint=hint) from error


def _shut_down(connection: Connection) -> None:
    """End the sockets of all hops, the nearest first, so that threads which read from them return at once."""
    for hop in reversed(list(_with_gateways(connection))):
        transport = hop.client.get_transport()
        if transport:
            transport.sock.shut_down()
