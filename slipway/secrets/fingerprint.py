"""A fingerprint of secret values: it changes when a value does, and reveals nothing of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial

from slipway.engine.once import Once
from slipway.engine.threads import Threads

_computed = Once[str]()  # scrypt is slow, so that guessing a weak value is; one run needs the same ones many times


def fingerprint(values: Mapping[str, str]) -> str:
    """32 hexadecimal digits, or nothing of no values. Releases are labelled with it: its bytes must never change."""
    text = "\n".join(f"{name}={value}" for name, value in sorted(values.items()))
    return _computed.get(text, partial(_scrypt, text)) if values else ""


def begin_fingerprint(values: Mapping[str, str]) -> None:
    """Begin to compute it on a CPU that is free, for whoever needs it later."""
    Threads(1).submit(fingerprint, values)


def _scrypt(text: str) -> str:
    return hashlib.scrypt(text.encode(), salt=b"slipway", n=2**12, r=8, p=1, dklen=16).hex()
