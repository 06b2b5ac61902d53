"""`json: {"$.id": 7}`: values in a JSON body, by JSONPath."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.fields import JsonPath


class JsonValues(Assertion[dict[JsonPath, Any]]):
    """Values by JSONPath (RFC 9535); one of those that a path finds must be equal, and of the same type."""

    def failures(self, answer: Answer) -> Iterator[str]:
        for path, expected in self.root.items():
            found = answer.json_values(path)
            if not any(type(value) is type(expected) and value == expected for value in found):
                got = ", ".join(json.dumps(value) for value in found) or "nothing"
                yield f"expected {path} to be {json.dumps(expected)}, got {got}"
