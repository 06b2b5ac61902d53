"""Private keys: what `ssh-keygen -y` reads is read, by the cryptography library, whatever wrote the file."""

from __future__ import annotations

import base64
import binascii
import io
import re
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from paramiko import ECDSAKey, Ed25519Key, Message, PKey, RSAKey
from paramiko.ssh_exception import PasswordRequiredException, SSHException

from slipway.errors import UsageError

BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
NO_PRIVATE_KEY = "not a private key"
OPENSSH_MAGIC = b"openssh-key-v1\0"
KINDS: tuple[tuple[type, type[PKey]], ...] = (
    (RSAPrivateKey, RSAKey),
    (EllipticCurvePrivateKey, ECDSAKey),
    (Ed25519PrivateKey, Ed25519Key),
)


def load_private_key(file: Path, passphrase: str | None) -> PKey:
    """A private key. Raises PasswordRequiredException if it is encrypted, UsageError if it can't be read."""
    try:
        data = file.read_bytes()
    except OSError as error:
        hint = "check that `key` in hosts.yaml is the path of the private key"
        raise UsageError(f"{file} can't be read", details=str(error), hint=hint) from error
    block = BLOCK.search(data)  # openssl writes the parameters of a curve before the key
    if block is None:
        summary = (
            "a public key, whose private key the SSH agent does not have" if _public_half(data) else NO_PRIVATE_KEY
        )
        raise _unreadable(file, summary, "there is no PRIVATE KEY block in it")
    try:
        return _parse(block, passphrase)
    except PasswordRequiredException:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm, SSHException) as error:
        raise _unreadable(file, "wrong passphrase" if passphrase else NO_PRIVATE_KEY, str(error)) from error


def _parse(block: re.Match[bytes], passphrase: str | None) -> PKey:
    load = load_ssh_private_key if block[1] == b"OPENSSH " else load_pem_private_key
    text = block[0] + b"\n"
    try:
        loaded = load(text, None)
    except TypeError as error:  # it is encrypted
        if not passphrase:
            raise PasswordRequiredException(str(error)) from error
        loaded = load(text, passphrase.encode())
    for kind, paramiko_kind in KINDS:
        if isinstance(loaded, kind):
            made: Any = loaded
            plain = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            return paramiko_kind.from_private_key(io.StringIO(plain.decode()))
    raise ValueError(f"its type is not supported: {type(loaded).__name__}")


def _unreadable(file: Path, summary: str, details: str) -> UsageError:
    hint = f"ssh-keygen -yf '{file}' shows whether it can be read; SLIPWAY_SSH_PASSPHRASE may hold the passphrase"
    return UsageError(f"{file}: {summary}", details=details, hint=hint)


def public_key(file: Path) -> bytes | None:
    """The public half of an identity file, as it is sent over the wire, where no passphrase is needed for it.

    As ssh, it looks into the file itself, which may be a public key, and then into the `.pub` beside it.
    """
    for one in (file, file.with_name(f"{file.name}.pub")):
        try:
            data = one.read_bytes()
        except OSError:
            continue
        if found := _public_half(data):
            return found
    return None


def _public_half(data: bytes) -> bytes | None:
    block = BLOCK.search(data)
    try:
        if block is None:
            return public_line(data)
        if block[1] == b"OPENSSH ":
            return _openssh_header(b"".join(block[0].splitlines()[1:-1]))
        return _parse(block, None).asbytes()
    except (ValueError, TypeError, UnsupportedAlgorithm, SSHException):  # it is encrypted, or no key at all
        return None


def public_line(data: bytes) -> bytes | None:
    """The key in a line of a public key file. Raises ValueError if it is none."""
    kind, text, *_ = data.split()  # ValueError: there are fewer
    key = base64.b64decode(text, validate=True)
    return key if Message(key).get_string() == kind else None


def _openssh_header(text: bytes) -> bytes | None:
    """The public key in front of the encrypted part (PROTOCOL.key of OpenSSH)."""
    data = base64.b64decode(text, validate=False)
    if not data.startswith(OPENSSH_MAGIC):
        raise binascii.Error("not an OpenSSH key")
    message = Message(data[len(OPENSSH_MAGIC) :])
    for _ in range(3):  # cipher, key derivation, and its options
        message.get_string()
    return message.get_string() if message.get_int() == 1 else None
