"""What a service answered, as assertions see it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One HTTP response. `seconds` is curl's time_total; `error` says why there is no response, else it is empty."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0
    error: str = ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def header(self, name: str) -> list[str]:
        """Every value of a header; names are case-insensitive (RFC 9110)."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json_values(self, path: str) -> list[Any]:
        """The values that a JSONPath (RFC 9535) finds in the body; none where the body is not JSON."""
        import jsonpath

        try:
            return list(jsonpath.findall(path, json.loads(self.text)))
        except (ValueError, RecursionError, jsonpath.JSONPathError):  # no JSON, or nested too deep
            return []
