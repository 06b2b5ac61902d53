"""`json: {"$.id": 7}`: values in a JSON body, by JSONPath."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.fields import JsonPath
from slipway.config.scalar import yaml_value


def _json_value(written: object) -> object:
    value = yaml_value(written)
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        raise ValueError("JSON has no infinity and no NaN") from None
    return value


class JsonValues(Assertion[dict[JsonPath, Annotated[Any, AfterValidator(_json_value)]]]):
    """Values by JSONPath (RFC 9535); one of those that a path finds must be equal, as JSON compares them."""

    def failures(self, answer: Answer) -> Iterator[str]:
        for path, expected in self.root.items():
            found = answer.json_values(path)
            if not any(same(value, expected) for value in found):
                got = ", ".join(json.dumps(value) for value in found) or "nothing"
                yield f"expected {path} to be {json.dumps(expected)}, got {got}"


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: a number is one however it is written, and never a boolean or a text."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
