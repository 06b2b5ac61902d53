"""A fingerprint of secret values: it changes when a value does, and reveals nothing of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache


def fingerprint(values: Mapping[str, str]) -> str:
    """32 hexadecimal digits, or nothing of no values. Releases are labelled with it: its bytes must never change."""
    return _scrypt("\n".join(f"{name}={value}" for name, value in sorted(values.items()))) if values else ""


@lru_cache(maxsize=256)  # scrypt is slow, so that guessing a weak value is; one run needs the same ones many times
def _scrypt(text: str) -> str:
    return hashlib.scrypt(text.encode(), salt=b"slipway", n=2**12, r=8, p=1, dklen=16).hex()
