"""A host's one SSH connection, which is made when it is first needed and made again after it broke."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

from slipway.config.models import Hosts
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Probe
from slipway.errors import ConnectionLost, ConnectionThrottled, HostUnreachable, NextCommand, Problem, Unreachable
from slipway.hosts.ssh import openssh
from slipway.hosts.ssh.route import route

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import Channel, Transport

    from slipway.hosts.ssh.authentication import AskSecret

CHANNEL_TIMEOUT = 20  # seconds for the host to open a channel
REFUSAL_LIFETIME = 5  # seconds for which a failed first connection is not tried again
RECONNECT_TIMEOUT = 120  # seconds that a host which was reached before may stay away, from when its connection broke
RETRY_INTERVAL = 1.0  # seconds
ATTEMPTS = 4  # to open a channel, when the connection breaks meanwhile


class ReconnectingConnection:
    """The connection to host `name`; threads share it. Cancelling `report` ends what waits for the host."""

    def __init__(self, name: str, hosts: Hosts, ask: AskSecret, report: Reporter) -> None:
        self._name, self._ask, self._report, self._cancel = name, ask, report, report.cancel
        self._route = Probe(lambda: route(name, hosts, report))
        self._connection: Connection | None = None
        self._refusal: tuple[float, Problem | None] = (0.0, None)
        self._broken_since: float | None = None
        self._closed = False  # on purpose
        self._lock = threading.RLock()

    @property
    def was_connected(self) -> bool:
        """Whether the host was reached at least once."""
        return self._connection is not None

    def look_up(self) -> None:
        """Ask ssh's programs now what connecting will need to know."""
        if openssh.installed():  # paramiko, which is asked instead, takes as long to import as to ask
            self._route.facts()

    def close(self) -> None:
        """End the connection and those of its jump hosts; the next use makes a new one."""
        with self._lock:
            if self._connection:
                from slipway.hosts.ssh import connection

                self._closed = True
                connection.close(self._connection)

    def transport(self, report: Reporter) -> Transport:
        """The open transport. Raises HostUnreachable, Unreachable or UsageError that says why there is none."""
        with self._lock:
            if self._connection is None:
                self._connection = self._connect_first()
            elif not self._connection.is_connected:
                self._connection = self._reconnect(self._connection, report)
            return transport_of(self._connection)

    def open_session(self, report: Reporter) -> Channel:
        """A new channel. Nothing was run in it yet, so after a broken connection it is simply opened again."""
        from paramiko import ChannelException, SSHException

        for attempt in range(1, ATTEMPTS + 1):
            transport = self.transport(report)
            try:
                return transport.open_session(timeout=CHANNEL_TIMEOUT)
            except (SSHException, OSError, EOFError) as error:
                if attempt == ATTEMPTS:
                    raise self._refused(error) from error
                if isinstance(error, ChannelException):
                    time.sleep(0.3 * attempt)  # the connection is intact, but has as many sessions as sshd allows
                else:
                    transport.close()
        raise AssertionError  # pragma: no cover  the loop returns or raises

    def _refused(self, error: Exception) -> Problem:
        """The error for a channel that could not be opened, over an intact connection or because that broke."""
        from paramiko import ChannelException

        if not isinstance(error, ChannelException):
            return self.lost(error)
        hint = "raise MaxSessions in its sshd_config to 10, which is sshd's default, and reload sshd"
        return Unreachable(f"{self._name} opens no more sessions on one connection", details=str(error), hint=hint)

    def lost(self, error: object) -> ConnectionLost:
        """The error for a connection that broke while something ran over it."""
        summary, hint = f"the connection to {self._name} was lost", "run the same command again to continue"
        commands = [NextCommand("host.check", {"host": self._name})]
        return ConnectionLost(summary, details=str(error), hint=hint, commands=commands)

    def _connect_first(self) -> Connection:
        """The first connection. Threads that ask shortly after it was refused get the same answer."""
        refused_at, refusal = self._refusal
        if refusal and time.monotonic() - refused_at < REFUSAL_LIFETIME:
            raise refusal
        try:
            return self._connect_throttled()
        except Problem as problem:
            self._refusal = (time.monotonic(), problem)
            raise

    def _connect_throttled(self) -> Connection:
        """A connection; tried again where sshd drops some at random, as MaxStartups of sshd_config(5) says."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._connect()
            except ConnectionThrottled:
                if attempt == ATTEMPTS:
                    raise
                self._cancel.wait(random.uniform(0.5, 1.5) * RETRY_INTERVAL)  # noqa: S311  not all at once
        raise AssertionError  # pragma: no cover  the loop returns or raises

    def _connect(self) -> Connection:
        from slipway.hosts.ssh import connection

        try:
            return connection.connect(self._route.facts(), self._ask, self._report)
        finally:
            self._route.forget()  # ssh, too, reads its files each time

    def _reconnect(self, broken: Connection, report: Reporter) -> Connection:
        """A new connection in place of a broken one; all threads that wait for it share RECONNECT_TIMEOUT."""
        from slipway.hosts.ssh import connection

        if not self._closed:
            report.note(f"the connection to {self._name} was lost; reconnecting")
        self._closed = False
        connection.close(broken)  # those to its jump hosts may be intact
        self._broken_since = self._broken_since or time.monotonic()
        while True:
            self._cancel.check()
            try:
                made = self._connect()
            except HostUnreachable:
                if time.monotonic() - self._broken_since > RECONNECT_TIMEOUT:
                    raise
                self._cancel.wait(RETRY_INTERVAL)
            else:
                self._broken_since = None
                return made


def transport_of(connection: Connection) -> Transport:
    """Paramiko's transport of an open connection of Fabric's."""
    transport: Transport = connection.client.get_transport()
    return transport
