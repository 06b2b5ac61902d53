# ruff: noqa: SLF001  a subclass of paramiko's, which sends what it has no public way to hold back
"""Paramiko's transport, made to do as ssh does where the two differ."""

from __future__ import annotations

from typing import Any

from paramiko import Message, Transport
from paramiko.common import MSG_SERVICE_REQUEST


class HostTransport(Transport):
    """A transport that asks for the login once, as ssh does, and remembers why the host ended the connection.

    Paramiko asks before every key and password (its issue 23): a round trip each, and some hosts hang up.
    """

    farewell = ""
    _login_asked = False

    def _send_message(self, data: Message) -> None:
        base: Any = super()  # types-paramiko does not know what its subclasses use
        message = data.asbytes()
        if message[0] == MSG_SERVICE_REQUEST and self._login_asked:
            handler: Any = self.auth_handler
            handler._parse_service_accept(Message(message[1:]))  # as if the host had said yes again
            return
        self._login_asked |= message[0] == MSG_SERVICE_REQUEST
        base._send_message(data)

    def _parse_disconnect(self, m: Message) -> None:
        m.get_int()
        self.farewell = m.get_text()
