"""The connection to a host's Docker socket, made when Docker is first asked something."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from docker import APIClient
from docker.errors import DockerException

from slipway.docker.client import client, unreachable
from slipway.engine.steps import Reporter

if TYPE_CHECKING:
    from slipway.hosts.host import Host

SOCKET = "/var/run/docker.sock"


class Connection:
    """A client of the Engine API over a host's socket. It ends with `closing`."""

    def __init__(self, host: Host, closing: ExitStack) -> None:
        self.host = host
        self._closing = closing
        self._path = ""
        self._connected: APIClient | None = None

    @property
    def api(self) -> APIClient:
        if self._connected is None:
            self._path = self._closing.enter_context(self.host.forward_socket(SOCKET))
            try:
                self._connected = client(self._path)
            except DockerException as error:
                raise unreachable(error) from error
        return self._connected

    @contextmanager
    def long(self, report: Reporter) -> Iterator[APIClient]:
        """A client for one long conversation: its sockets are shut down when the run is to end, and so is the work.

        Raises Cancelled then, whatever the conversation makes of it.
        """
        version, sockets = self.api.api_version, list[socket.socket]()

        def hang_up() -> None:
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        def opened(one: socket.socket) -> None:
            sockets.append(one)
            report.cancel.check()

        report.cancel.check()
        api = client(self._path, version, opened)
        forget = report.cancel.on_request(hang_up)
        try:
            yield api
        except Exception:
            report.cancel.check()
            raise
        finally:
            forget()
            api.close()
        report.cancel.check()
