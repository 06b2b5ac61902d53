"""An SSH agent, which signs with the keys that it has."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from paramiko import AgentKey
from paramiko.agent import AgentSSH
from paramiko.ssh_exception import AuthenticationException, SSHException

from slipway.engine.cancellation import Cancel

AGENT_TIMEOUT = 5.0  # seconds for the agent to list its keys
SIGN_TIMEOUT = 60.0  # seconds for a signature, which may wait for a touch or a confirmation


class Agent(AgentSSH):  # types-paramiko does not know what its subclasses in paramiko use
    """The agent behind a socket, whose keys sign. `error` says why it can't be asked."""

    def __init__(self, path: str, cancel: Cancel) -> None:
        super().__init__()
        self._counted_from = 0.0  # when the time for a signature started again; inf: somebody is asked for a PIN
        self.error, self._unregister = "", cancel.on_request(self.close)
        if not path:
            return
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(AGENT_TIMEOUT)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]
            connection.settimeout(SIGN_TIMEOUT)
        except (OSError, SSHException) as error:
            connection.close()
            self.error = f"the SSH agent at {path} can't be asked: {error}"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While somebody is asked: the time for the signature starts when they have answered."""
        self._counted_from = float("inf")
        try:
            yield
        finally:
            self._counted_from = time.monotonic()

    def _read_all(self, wanted: int) -> Any:
        connection: Any = self._conn  # type: ignore[attr-defined]
        timeout = connection.gettimeout()
        try:
            while True:
                try:
                    return super()._read_all(wanted)  # type: ignore[misc]
                except TimeoutError:
                    left = self._counted_from + SIGN_TIMEOUT - time.monotonic()
                    if left <= 0:
                        raise
                    connection.settimeout(min(left, SIGN_TIMEOUT))
        finally:
            connection.settimeout(timeout)

    def give_up(self) -> None:
        """Ask it nothing more: a late signature would be taken for that of the next key."""
        self.error = f"the SSH agent did not sign within {SIGN_TIMEOUT:g} s: does it wait for a touch or an answer?"
        self._shut_down()

    def close(self) -> None:
        """End the conversation; a signature that is waited for is given up."""
        self._unregister()
        self._shut_down()
        self._close()  # type: ignore[attr-defined]

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError):
            if self._conn:  # type: ignore[attr-defined]
                self._conn.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


class SigningKey(AgentKey):
    """A key of an agent. One that the agent does not sign with is passed over, as by ssh."""

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:
        try:
            return super().sign_ssh_data(data, algorithm)
        except (SSHException, OSError) as error:
            agent: Any = self.agent
            agent.error = f"the SSH agent does not sign with {self.comment or self.get_name()}: {error}"
            if isinstance(error, TimeoutError):
                agent.give_up()
            raise AuthenticationException(f"the SSH agent does not sign: {error}") from error
