"""How this machine reaches the ports that containers publish on the loopback of their host."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from slipway.docker.protocols import Daemon
from slipway.hosts.host import Host, Stream


class Reach(Protocol):
    """The way to one host's loopback."""

    def url(self, port: int) -> str:
        """A URL of this machine that leads to a port there, for as long as the command runs."""

    def connect(self, port: int) -> Stream:
        """A connection to a port there. Raises OSError, or Unreachable, where nothing listens."""


class OwnLoopback:
    """The loopback of this machine."""

    def url(self, port: int) -> str:
        """The port itself."""
        return f"http://127.0.0.1:{port}"

    def connect(self, port: int) -> Stream:
        """A connection of this machine to itself."""
        return socket.create_connection(("127.0.0.1", port))


class LoopbackOf:
    """The loopback of an SSH host: a tunnel to each port, opened when it is first asked for, until `closing` ends."""

    def __init__(self, host: Host, closing: ExitStack) -> None:
        self._host, self._closing = host, closing
        self._tunnels: dict[int, int] = {}  # ports of this machine, by that of the host
        self._lock = threading.Lock()

    def url(self, port: int) -> str:
        """The tunnel to it."""
        from slipway.hosts.tunnels import tunnel  # here, since most commands open none

        with self._lock:
            if port not in self._tunnels:
                self._tunnels[port] = self._closing.enter_context(tunnel(0, partial(self.connect, port)))
            return f"http://127.0.0.1:{self._tunnels[port]}"

    def connect(self, port: int) -> Stream:
        """A channel of the host's connection."""
        return self._host.open_tcp("127.0.0.1", port)


def url_of(container: str, port: int, daemon: Daemon, reach: Reach) -> str:
    """A URL that leads to a port of a running container, wherever it is published: that may change with each start."""
    _, published = daemon.containers.inspect(container).ports[port]
    return reach.url(published)
