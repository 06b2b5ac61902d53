# ruff: noqa: SLF001  a subclass of paramiko's, which has no public way to send a request of its own
"""Asking a host whether it would accept a public key, before its private key is decrypted (RFC 4252, section 7)."""

from __future__ import annotations

import threading
from typing import Any

from paramiko import AuthenticationException, Message, Transport
from paramiko.auth_handler import AuthHandler
from paramiko.common import MSG_USERAUTH_PK_OK, cMSG_USERAUTH_REQUEST

NO_SIGNATURE = b"\0"  # false


class KeyQuery(AuthHandler):
    """Paramiko's authentication handler with the one request that it lacks: a key without a signature."""

    def __init__(self, transport: Transport, public: bytes) -> None:
        super().__init__(transport)
        self._public, self._answered, self._accepted = public, threading.Event(), False

    def ask(self, user: str) -> bool:
        """Whether the host would accept the key.

        Raises BadAuthenticationType if it takes no keys now, AuthenticationException if it knows no algorithm for this
        type of key, SSHException or EOFError if the connection ended.
        """
        handled: Any = self.transport
        handled.auth_handler = self
        no_private_key: Any = None
        self.auth_publickey(user, no_private_key, self._answered)
        try:
            self.wait_for_response(self._answered)
        except AuthenticationException as refusal:
            if type(refusal) is not AuthenticationException or not self.transport.is_active():
                raise
        return self._accepted

    def _parse_service_accept(self, _: Message) -> None:
        handler: Any = self  # types-paramiko does not know what its subclasses use
        algorithm = handler._finalize_pubkey_algorithm(Message(self._public).get_text())
        request = Message()
        request.add_byte(cMSG_USERAUTH_REQUEST)
        for text in (handler.username, "ssh-connection", "publickey"):
            request.add_string(text)
        request.add_byte(NO_SIGNATURE)
        request.add_string(algorithm)
        request.add_string(self._public)
        handler.transport._send_message(request)

    def _parse_key_accepted(self, _: Message) -> None:
        self._accepted = True
        self._answered.set()

    @property
    def _client_handler_table(self) -> dict[int, Any]:
        base: Any = super()
        return {**base._client_handler_table, MSG_USERAUTH_PK_OK: self._parse_key_accepted}
