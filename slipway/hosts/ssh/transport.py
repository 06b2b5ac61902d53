# ruff: noqa: SLF001  a subclass of paramiko's, which sends what it has no public way to hold back
"""Paramiko's transport, made to do as ssh does where the two differ."""

from __future__ import annotations

from typing import Any

from paramiko import Message, RSAKey, Transport
from paramiko.common import MSG_SERVICE_REQUEST

from slipway.hosts.ssh.host_certificate import certified_key
from slipway.hosts.ssh.host_key import CERTIFIED, UNREADABLE, UnusableHostKey, key_type, packed


class HostTransport(Transport):
    """A transport that takes the host keys that ssh takes, and remembers why the host ended the connection.

    It asks for the login once, as ssh does. Paramiko asks before every key and password (its issue 23): a round trip
    each, and some hosts hang up.
    """

    farewell = ""
    host_key_algorithms: tuple[str, ...] = ()  # the first one first
    pubkey_algorithms: tuple[str, ...] | None = None  # with which this user's keys may sign; None: all
    required_rsa_size = 0  # bits of a host key
    _login_asked = False
    _first_host_key = b""

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """The algorithms of host keys to negotiate."""
        this: Any = self  # types-paramiko does not know what its subclasses use
        return tuple(name for name in self.host_key_algorithms if name in this._key_info)

    @property
    def preferred_pubkeys(self) -> tuple[str, ...]:
        """The algorithms with which this user's keys may sign."""
        base: Any = super()
        names: tuple[str, ...] = base.preferred_pubkeys
        allowed = names if self.pubkey_algorithms is None else self.pubkey_algorithms
        return tuple(name for name in names if name in allowed or f"{name}{CERTIFIED}" in allowed)

    def _verify_key(self, host_key: bytes, signature: bytes) -> None:
        """Paramiko's check of the exchange, of a key and a signature of the type that was agreed on (kexgen.c)."""
        base: Any = super()
        agreed = str(self.host_key_type)
        try:
            presented, signed = Message(host_key).get_text(), Message(signature)
            algorithm = signed.get_text()
            if (presented, algorithm) != (key_type(agreed), agreed.removesuffix(CERTIFIED)):
                raise UnusableHostKey(f"it presents {presented} signed with {algorithm}, where {agreed} was agreed on")
            if packed(algorithm, signed.get_binary()) != signature:
                raise UnusableHostKey("the signature with its host key is malformed")
            base._verify_key(host_key, signature)
            plain = certified_key(host_key) if agreed.endswith(CERTIFIED) else host_key
            key = self.host_key
            if not key or key.asbytes() != plain:
                raise UnusableHostKey("its host key is not encoded as such a key is")
        except UNREADABLE as error:
            raise UnusableHostKey(f"its host key can't be read: {error}") from error
        if isinstance(key, RSAKey) and (size := key.get_bits()) < self.required_rsa_size:
            least = self.required_rsa_size
            raise UnusableHostKey(f"its RSA host key has {size} bits, fewer than RequiredRSASize {least}")
        if self._first_host_key not in {b"", plain}:
            raise UnusableHostKey("it presents another host key within the connection")
        self._first_host_key = plain

    def _send_message(self, data: Message) -> None:
        base: Any = super()
        message = data.asbytes()
        if message[0] == MSG_SERVICE_REQUEST and self._login_asked:
            handler: Any = self.auth_handler
            handler._parse_service_accept(Message(message[1:]))  # as if the host had said yes again
            return
        self._login_asked |= message[0] == MSG_SERVICE_REQUEST
        base._send_message(data)

    def _parse_disconnect(self, m: Message) -> None:
        m.get_int()
        self.farewell = m.get_string().decode(errors="replace")
