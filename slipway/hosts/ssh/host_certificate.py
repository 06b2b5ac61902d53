"""A host's certificate, and why ssh would not believe it (PROTOCOL.certkeys, sshkey_cert_check_host in sshkey.c)."""

from __future__ import annotations

import base64
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import SSHCertificate, SSHCertificateType
from paramiko import Message

SHA1 = "ssh-rsa"  # the signature that ssh takes from no authority by default


@dataclass(frozen=True)
class HostCertificate:
    """A certificate as it is sent over the wire."""

    blob: bytes

    @property
    def kind(self) -> str:
        """Its type: ssh-ed25519-cert-v01@openssh.com."""
        return Message(self.blob).get_text()

    @cached_property
    def _parsed(self) -> SSHCertificate | None:
        line = self.kind.encode() + b" " + base64.b64encode(self.blob)
        try:
            found = serialization.load_ssh_public_identity(line)
        except (ValueError, UnsupportedAlgorithm):
            return None
        return found if isinstance(found, SSHCertificate) else None

    @cached_property
    def authority(self) -> bytes:
        """The public key of who signed it, as it is sent over the wire; empty if it can't be read."""
        try:
            key = self._parsed.signature_key() if self._parsed else None
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if key is None:
            return b""
        line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return base64.b64decode(line.split()[1])

    @property
    def _algorithm(self) -> str:
        """That of its signature, which is the last field, behind the authority's key."""
        signature = self.blob.rpartition(self.authority)[2]
        return Message(Message(signature).get_binary()).get_binary().decode(errors="replace")

    def doubt(self, host: str, algorithms: Collection[str]) -> str:
        """Why it does not count for a host; empty if it does. `algorithms` are CASignatureAlgorithms, if known."""
        found = self._parsed
        if found is None or not self.authority:
            return "it can't be read"
        try:
            found.verify_cert_signature()
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return "its signature is wrong"
        names = [principal.decode(errors="replace") for principal in found.valid_principals]
        allowed = self._algorithm in algorithms if algorithms else self._algorithm != SHA1
        reasons = (
            (found.type is not SSHCertificateType.HOST, "it is a user's"),
            (time.time() < found.valid_after, "it is not valid yet"),
            (time.time() >= found.valid_before, "it has expired"),
            (bool(names) and host not in names, f"it is for {', '.join(names)}"),
            (bool(found.critical_options), "it has critical options"),
            (not allowed, f"it is signed with {self._algorithm}, which CASignatureAlgorithms does not have"),
        )
        return next((reason for applies, reason in reasons if applies), "")
