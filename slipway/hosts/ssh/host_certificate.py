"""A host's certificate, and why ssh would not believe it (PROTOCOL.certkeys, sshkey_cert_check_host in sshkey.c)."""

from __future__ import annotations

import base64
import time
from collections.abc import Collection
from dataclasses import dataclass

from paramiko import Message

from slipway.engine.cancellation import Cancel
from slipway.hosts.ssh import openssh
from slipway.hosts.ssh.host_key import CERTIFIED, UnusableHostKey

HOST = 2  # the type of certificate; 1 is a user's
KEY_FIELDS = {"ssh-ed25519": 1, "sk-ecdsa-sha2-nistp256": 3}  # a public key's; the others have 2


@dataclass(frozen=True)
class HostCertificate:
    """A certificate of a host, or of a user, whose signature is right; `blob` is it as it is sent over the wire.

    `authority` is the public key that signed it, with `algorithm`; times are seconds since 1970.
    """

    blob: bytes
    kind: str
    type: int
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical_options: bytes
    authority: bytes
    algorithm: str

    def doubt(self, host: str, algorithms: Collection[str]) -> str:
        """Why it does not count for a host; empty if it does. `algorithms` are CASignatureAlgorithms."""
        reasons = (
            (self.type != HOST, "it is a user's"),
            (time.time() < self.valid_after, "it is not valid yet"),
            (time.time() >= self.valid_before, "it has expired"),
            (self.principals and host not in self.principals, f"it is for {', '.join(self.principals)}"),
            (self.critical_options, "it has critical options"),
            (
                self.algorithm not in algorithms,
                f"it is signed with {self.algorithm}, which CASignatureAlgorithms does not have",
            ),
        )
        return next((reason for applies, reason in reasons if applies), "")


def read(blob: bytes, cancel: Cancel) -> HostCertificate:
    """A certificate that a host presents. Raises UnusableHostKey if it is malformed or its signature is wrong."""
    message = Message(blob)
    kind = message.get_text()
    line = f"{kind} {base64.b64encode(blob).decode()}\n"
    answer = openssh.run("ssh-keygen", "-L", "-f", "/dev/stdin", cancel=cancel, stdin=line)  # verifies the signature
    if answer.returncode:
        raise UnusableHostKey(f"its certificate is invalid: {answer.stderr.strip().removeprefix('/dev/stdin:1: ')}")
    _public_key(message)
    message.get_int64()  # serial number
    type_ = message.get_int()
    message.get_string()  # key id
    principals = _strings(message.get_string())
    valid_after, valid_before = message.get_int64(), message.get_int64()
    critical_options, *_, authority, signature = (message.get_string() for _ in range(5))
    algorithm = Message(signature).get_text()
    return HostCertificate(
        blob, kind, type_, principals, valid_after, valid_before, critical_options, authority, algorithm
    )


def certified_key(blob: bytes) -> bytes:
    """The public key that a certificate is for, as it is sent over the wire without it."""
    return _public_key(Message(blob))


def _public_key(message: Message) -> bytes:
    """The public key in a certificate, which is read up to the end of that."""
    message.rewind()
    plain = Message()
    kind = message.get_text().removesuffix(CERTIFIED)
    plain.add_string(kind if not kind.startswith("sk-") else f"{kind}@openssh.com")
    message.get_string()  # nonce
    for _ in range(KEY_FIELDS.get(kind, 2)):
        plain.add_string(message.get_string())
    return plain.asbytes()


def _strings(packed: bytes) -> tuple[str, ...]:
    message, found = Message(packed), list[str]()
    while message.get_remainder():
        found.append(message.get_string().decode(errors="replace"))
    return tuple(found)
