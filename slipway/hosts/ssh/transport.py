# ruff: noqa: SLF001  a subclass of paramiko's, which sends what it has no public way to hold back
"""Paramiko's transport, made to do as ssh does where the two differ."""

from __future__ import annotations

from typing import Any

from paramiko import Message, RSAKey, Transport
from paramiko.common import MSG_SERVICE_REQUEST
from paramiko.ssh_exception import SSHException

from slipway.hosts.ssh.host_certificate import SUFFIX, certified_key


class HostTransport(Transport):
    """A transport that takes the host keys that ssh takes, and remembers why the host ended the connection.

    It asks for the login once, as ssh does. Paramiko asks before every key and password (its issue 23): a round trip
    each, and some hosts hang up.
    """

    farewell = ""
    host_key_algorithms: tuple[str, ...] = ()  # the first one first
    pubkey_algorithms: tuple[str, ...] = ()  # with which this user's keys may sign; empty: all
    required_rsa_size = 0  # bits of a host key
    _login_asked = False

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
        allowed = self.pubkey_algorithms or names
        return tuple(name for name in names if name in allowed or f"{name}{SUFFIX}" in allowed)

    def _verify_key(self, host_key: bytes, signature: bytes) -> None:
        """Paramiko's check of the exchange, of a key and a signature of the type that was agreed on (kexgen.c)."""
        base: Any = super()
        agreed = str(self.host_key_type)
        try:
            presented = (Message(host_key).get_text(), Message(signature).get_text())
            if presented != (key_type(agreed), agreed.removesuffix(SUFFIX)):
                raise SSHException(f"it presents {' signed with '.join(presented)}, where {agreed} was agreed on")
            base._verify_key(host_key, signature)
            plain = certified_key(host_key) if agreed.endswith(SUFFIX) else host_key
            if not self.host_key or self.host_key.asbytes() != plain:
                raise SSHException("its host key is not encoded as such a key is")
        except (ValueError, NotImplementedError) as error:  # of the libraries that read keys
            raise SSHException(f"its host key can't be read: {error}") from error
        key = self.host_key
        if isinstance(key, RSAKey) and (size := key.get_bits()) < self.required_rsa_size:
            raise SSHException(f"its RSA host key has {size} bits, fewer than RequiredRSASize {self.required_rsa_size}")

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
        self.farewell = m.get_text()


def key_type(algorithm: str) -> str:
    """The type of the key that an algorithm signs with: one of RSA has several (RFC 8332)."""
    return f"ssh-rsa{SUFFIX if algorithm.endswith(SUFFIX) else ''}" if algorithm.startswith("rsa-sha2-") else algorithm
