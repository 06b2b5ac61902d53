"""A number or date in a YAML file: what a field gets is its text as written, or its value, whichever it wants."""

from __future__ import annotations

from typing import Self


class Scalar(str):
    """The text of an unquoted number or date, which is also what it is where a text is wanted; `value` is YAML's."""

    __slots__ = ("value",)
    value: int | float | str

    def __new__(cls, text: str, value: float | str) -> Self:
        scalar = super().__new__(cls, text)
        scalar.value = value
        return scalar


def yaml_value(value: object) -> object:
    """The value with YAML's types: a `Scalar` becomes its number, or for a date its text, since JSON has no dates."""
    if isinstance(value, Scalar):
        return value.value
    if isinstance(value, dict):
        return {str(key): yaml_value(one) for key, one in value.items()}
    if isinstance(value, list):
        return [yaml_value(one) for one in value]
    return value
