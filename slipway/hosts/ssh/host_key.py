"""Public keys of hosts as they are sent over the wire (RFC 4253, section 6.6), and what ssh takes for none."""

from __future__ import annotations

from paramiko import Message, PKey
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import SSHException

CERTIFIED = "-cert-v01@openssh.com"  # the end of the type of a key that comes with a certificate
UNREADABLE = (ValueError, OverflowError, NotImplementedError)  # what the libraries that read keys raise for bad ones


class UnusableHostKey(SSHException):
    """A host key, or its certificate, with which ssh ends the connection before it looks at known_hosts."""


def key_type(algorithm: str) -> str:
    """The type of the key that an algorithm signs with: one of RSA has several (RFC 8332)."""
    if not algorithm.startswith("rsa-sha2-"):
        return algorithm
    return f"ssh-rsa{CERTIFIED}" if algorithm.endswith(CERTIFIED) else "ssh-rsa"


def is_readable(kind: str, key: bytes) -> bool:
    """Whether a public key is one, in the form of its type. What paramiko does not know is not looked into."""
    try:
        return bool(PKey.from_type_string(kind, key).asbytes() == key)
    except UnknownKeyType:
        return True
    except (*UNREADABLE, SSHException):
        return False


def is_security_key(key: bytes) -> bool:
    """Whether it is the public key, or a certificate, of a key that a FIDO authenticator has (PROTOCOL.u2f)."""
    return Message(key).get_string().startswith(b"sk-")


def packed(*strings: str | bytes) -> bytes:
    """Strings as they are sent over the wire (RFC 4251, section 5)."""
    message = Message()
    for one in strings:
        message.add_string(one)
    return message.asbytes()
