"""Secrets in what is shown and logged: every usual spelling of a registered value becomes `***`."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any
from urllib.parse import quote

SHORTEST = 4  # characters: a shorter value would mask half of every line
MASK = "***"


class Masker:
    """The secrets that were registered so far."""

    def __init__(self) -> None:
        self._secrets: list[str] = []  # longest first: one may be part of another

    def register(self, values: Iterable[str]) -> None:
        """Mask these values from now on, and each of their lines, since output comes line by line."""
        texts = {part for value in values for part in (value, *map(str.strip, value.splitlines()))}
        spelled = {form for text in texts if len(text) >= SHORTEST for form in spellings(text)}
        self._secrets = sorted({*self._secrets, *spelled}, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """The text without any registered secret."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def mask_all(self, value: Any) -> Any:
        """A copy of an event or a document in which every text is masked."""
        if not self._secrets:
            return value
        if isinstance(value, str) and type(value) is str:  # not an enum's
            return self.mask(value)
        if isinstance(value, tuple | list):
            return tuple(self.mask_all(part) for part in value)
        if isinstance(value, Mapping):
            return {key: self.mask_all(part) for key, part in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{f.name: self.mask_all(getattr(value, f.name)) for f in fields(value)})
        return value


def spellings(text: str) -> set[str]:
    """The text as it is, in JSON, in a URL, in a shell and in Base64."""
    return {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        quote(text, safe=""),
        quote(text),
        shlex.quote(text),
        base64.b64encode(text.encode()).decode(),
        base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    }
