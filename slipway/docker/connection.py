"""The connection to the Docker daemon of one host, over its socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from docker import APIClient
from docker.errors import DockerException

from slipway.docker.client import client, unreachable
from slipway.docker.registry_credentials import use_helpers
from slipway.engine.reporter import Reporter

if TYPE_CHECKING:
    from slipway.hosts.host import ForwardedSocket, Host

SOCKET = "/var/run/docker.sock"


class Connection:
    """docker-py's client of one host's daemon, which connects on first use and until `closing` ends."""

    def __init__(self, host: Host, closing: ExitStack) -> None:
        self.host = host
        self._closing = closing
        self._socket: ForwardedSocket | None = None
        self._api: APIClient | None = None
        self._connecting = threading.Lock()
        self._failed_helpers: dict[str, str] = {}  # what those for credentials said

    @property
    def api(self) -> APIClient:
        """The client for short requests. Raises Unreachable where host or daemon do not answer."""
        with self._connecting:
            if self._api is None:
                self._socket = self._closing.enter_context(self.host.forward_socket(SOCKET))
                try:
                    self._api = client(self._socket)
                except DockerException as error:
                    raise self._socket.problem or unreachable(error) from error
            return self._api

    @property
    def socket(self) -> str:
        """The path of the daemon's socket on this machine, for programs that connect by themselves."""
        assert self.api  # noqa: S101  it connects
        assert self._socket  # noqa: S101  that it is connected to
        return self._socket.path

    @contextmanager
    def interruptible(self, report: Reporter) -> Iterator[APIClient]:
        """A client for one long request: cancelling the run shuts its sockets down, and the daemon ends the work.

        Raises Cancelled then, whatever error the request itself ends with; and where a registry wanted credentials that
        a helper program failed to give, a Problem that says so.
        """
        version, sockets = self.api.api_version, list[socket.socket]()
        assert self._socket  # noqa: S101  the client above is connected to it

        def hang_up() -> None:
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        def opened(one: socket.socket) -> None:
            sockets.append(one)
            report.cancel.check()

        report.cancel.check()
        api = client(self._socket, version, opened)
        credentials = use_helpers(api, self._failed_helpers, report)
        forget = report.cancel.on_request(hang_up)
        try:
            yield api
        except Exception as error:
            report.cancel.check()
            if (explained := credentials.explain(error)) is not error:
                raise explained from error
            raise
        finally:
            forget()
            api.close()
        report.cancel.check()
