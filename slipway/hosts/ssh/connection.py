"""One verified SSH connection, made by Fabric as ssh would make it, hop by hop."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import paramiko  # noqa: F401  whole, before Fabric imports parts of it: another thread may be importing it now
from fabric import Config, Connection
from paramiko import PKey, ProxyCommand, SSHClient, Transport
from paramiko.client import MissingHostKeyPolicy
from paramiko.config import SSHConfig

from slipway.config.host_secrets import host_secret
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.errors import Cancelled
from slipway.hosts.ssh import host_certificate, keepalive
from slipway.hosts.ssh.authentication import AskSecret, OpenSshAuthentication
from slipway.hosts.ssh.hop import CONNECT_TIMEOUT, Hop, HostKeyRejected, translated_errors
from slipway.hosts.ssh.known_hosts import KeyStatus, KnownHosts
from slipway.hosts.ssh.route import HopSettings
from slipway.hosts.ssh.transport import HostTransport

AUTH_TIMEOUT = 60  # seconds for the answer to a key: the host may look names up


def connect(settings: Sequence[HopSettings], ask: AskSecret, report: Reporter) -> Connection:
    """An open connection with every hop verified and kept alive. Raises Unreachable or UsageError that says why not."""
    hops = hops_to(settings, report.cancel)
    with closed_on_failure(hops, report.cancel):
        for hop in hops:
            with translated_errors(hop):
                open_hop(hop, ask, report)
    return hops[-1].connection


def close(connection: Connection) -> None:
    """End a connection, and the hops before it."""
    _shut_down(connection)
    for hop in _with_gateways(connection):
        hop.client.close()


# Before connecting: which hops there are, and which keys they may present


def hops_to(settings: Sequence[HopSettings], cancel: Cancel) -> list[Hop]:
    """The hops of a route, none open yet; each must present a known key."""
    hops: list[Hop] = []
    for one in settings:
        hops.append(_hop(one, settings[-1].name, hops[-1].connection if hops else None, cancel))
    return hops


def _hop(settings: HopSettings, destination: str, gateway: Connection | None, cancel: Cancel) -> Hop:
    """A hop that accepts only known keys."""
    config = settings.config
    connection = Connection(
        config.hostname,
        user=config.user,
        port=config.port,
        gateway=gateway,
        connect_timeout=config.connect_timeout or CONNECT_TIMEOUT,
        config=_no_files(),
    )
    connection.connect_kwargs = {
        "banner_timeout": config.connect_timeout or CONNECT_TIMEOUT,
        "auth_timeout": AUTH_TIMEOUT,
        "channel_timeout": CONNECT_TIMEOUT,
        "transport_factory": _transport_factory(settings),
    }
    connection.client.set_missing_host_key_policy(VerifyKnownKey(settings.known, cancel))
    return Hop(settings.name, destination, connection, config, settings.known, settings.key)


@cache
def _no_files() -> Config:
    """Fabric's defaults: no ~/.fabric.yaml, ~/.invoke.yaml or variable of those changes a connection."""
    return Config(lazy=True, ssh_config=SSHConfig())


def _transport_factory(settings: HopSettings) -> Any:
    """What makes the transport of a hop."""

    def transport(sock: Any, **options: Any) -> Transport:
        monitored: Any = keepalive.MonitoredSocket(sock)
        made = HostTransport(monitored, **options)
        made.host_key_algorithms = settings.known.algorithms
        made.pubkey_algorithms = settings.config.pubkey_algorithms
        made.required_rsa_size = settings.config.required_rsa_size
        return made

    return transport


def _with_gateways(connection: Any) -> Iterator[Connection]:
    """A connection, then the one that it goes through, and so on."""
    while isinstance(connection, Connection):
        yield connection
        connection = connection.gateway


class VerifyKnownKey(MissingHostKeyPolicy):
    """Accepts only known keys. Paramiko asks it about every key, since its own list of them is empty."""

    def __init__(self, known: KnownHosts, cancel: Cancel) -> None:
        self._known, self._cancel = known, cancel

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:  # noqa: ARG002  a fixed signature
        blob = key.public_blob
        certificate = host_certificate.read(blob.key_blob, self._cancel) if blob else None
        known = self._known.about(key.get_name(), key.asbytes(), self._cancel, certificate)
        if not self.accepts(status := known.status(key.asbytes(), certificate)):
            raise HostKeyRejected(known, key, status, certificate)

    def accepts(self, status: KeyStatus) -> bool:
        """Whether to go on with a key."""
        return status is KeyStatus.KNOWN


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


def open_hop(hop: Hop, ask: AskSecret, report: Reporter) -> None:
    """Open a hop behind open ones with its own secrets; one that turns out to be needed is asked for.

    Raises what sockets and paramiko raise; `translated_errors` translates it.
    """
    for kind in ("password", "passphrase", "pin"):
        if host_secret(kind, hop.name) is not None:
            hop.secrets[kind] = ask(kind, hop.name)
    connection = hop.connection
    authentication = OpenSshAuthentication(hop.name, hop.config, hop.key, hop.secrets, ask, report)
    connection.connect_kwargs["auth_strategy"] = authentication
    if hop.config.proxy_command and connection.gateway is None:
        connection.connect_kwargs["sock"] = _proxy(hop.config.proxy_command)
    elif connection.gateway is None:
        timeout = connection.connect_timeout
        connection.connect_kwargs["sock"] = keepalive.connect_tcp(
            connection.host,
            connection.port,
            timeout,
            report.cancel,
            family=hop.config.address_family,
            source=hop.config.bind_address,
        )
    connection.open()
    keepalive.start_keepalive(connection.transport)


def _proxy(command: str) -> ProxyCommand:
    """A ProxyCommand, run by the user's shell as ssh runs it."""
    return ProxyCommand(shlex.join([os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"]))


def _shut_down(connection: Connection) -> None:
    """End the sockets of all hops, the nearest first, so that threads which read from them return at once."""
    for hop in reversed(list(_with_gateways(connection))):
        transport = hop.client.get_transport()
        if transport:
            transport.sock.shut_down()
