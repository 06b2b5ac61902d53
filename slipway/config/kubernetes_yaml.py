"""Reads YAML as kubectl does (sigs.k8s.io/yaml, on go-yaml v2): 0400 is 256, `yes` is true, and a date is its text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from slipway.config import yaml_reader
from slipway.config.scalar import Scalar

# The rules of go-yaml v2, resolve.go
BOOLEANS = {
    **{word: True for text in ("y", "yes", "true", "on") for word in (text, text.capitalize(), text.upper())},
    **{word: False for text in ("n", "no", "false", "off") for word in (text, text.capitalize(), text.upper())},
}
NULLS = {"", "~", "null", "Null", "NULL"}
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
INTEGER = re.compile(  # of any base, as Go's strconv.ParseInt reads it: a leading 0 is octal
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))", re.ASCII
)
BASES = {"x": 16, "b": 2, "o": 8, "d": 10}
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
LONGEST = 10**21  # from where on Go writes a whole float with an exponent

TAG = "tag:yaml.org,2002:"


def documents(path: Path) -> Iterator[Any]:
    """The documents of a file, in ruamel's round-trip types. Raises Unreadable."""
    text = yaml_reader.text_of(path)
    _check_separators(text)
    yield from yaml_reader.documents_in(text, _parser)


def _check_separators(text: str) -> None:
    """Raise Unreadable where kubectl, which takes a file apart before YAML is read, refuses or passes over content."""
    ended = 0  # the line of a `...`
    for number, line in enumerate(text.split("\n"), 1):
        rest = line.removeprefix("---").strip()
        begins = line.startswith("---")
        if begins and rest and not rest.startswith("#"):
            raise yaml_reader.Unreadable(number, "kubectl takes nothing but a comment behind ---", "start a new line")
        if ended and rest and not begins and not rest.startswith("#"):
            raise yaml_reader.Unreadable(ended, "kubectl reads nothing behind ...", "separate documents by ---")
        ended = number if line.rstrip() == "..." else 0 if begins else ended


def json_value(value: Any) -> Any:
    """What kubectl sends for a document, a part of it, or a key's value: plain data with JSON's types."""
    if isinstance(value, Mapping):
        return {_key(key): json_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [json_value(one) for one in value]
    if isinstance(value, Scalar):
        return value.value
    return value if value is None or isinstance(value, bool) else str(value)


def resolve(text: str) -> bool | float | str | None:
    """The value of an unquoted scalar."""
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text in NULLS:
        return None
    if not text[0].isascii() or text[0] not in "+-.0123456789":
        return text
    digits = _with_digits_apart(text) if text[0] == "." else text.replace("_", "")
    if found := INTEGER.fullmatch(digits):
        base = found.lastgroup or "d"
        number = int(found[base], BASES[base]) * (-1 if found["sign"] == "-" else 1)
        if -(2**63) <= number < (2**63 if found["sign"] else 2**64):
            return number
    return _float(digits, text)


def _with_digits_apart(text: str) -> str:
    """Without `_` where each stands between two digits, as Go's strconv.ParseFloat takes it; the text otherwise."""
    return text.replace("_", "") if re.fullmatch(r"([^_]|(?<=[0-9])_(?=[0-9]))*", text) else text


def _float(digits: str, text: str) -> float | str:
    """A float, whole ones as the integer that Go writes for them: as few digits as tell it, then zeros; or the text."""
    if not FLOAT.fullmatch(digits) or math.isinf(number := float(digits)):
        return text
    return int(Decimal(repr(number))) if number.is_integer() and abs(number) < LONGEST else number


def _key(key: object) -> str:
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, Scalar):
        return f"{key.value:g}" if isinstance(key.value, float) else str(key.value)
    return str(key)


def _is_rounded(key: Scalar) -> bool:
    """Whether kubectl may write a key with other digits: of a float's, it keeps those of 32 bits (sigs.k8s.io/yaml)."""
    if isinstance(key.value, str):  # a date
        return False
    integer = INTEGER.fullmatch(key.replace("_", "")) and -(2**63) <= key.value < 2**63
    return not integer and f"{key.value:g}" != str(key.value)


def _parser() -> Any:
    yaml = yaml_reader.parser()
    yaml.Resolver, yaml.Constructor = _classes()
    return yaml


@cache
def _classes() -> tuple[type, type]:
    """The resolver, which gives an unquoted scalar its type, and the constructor, which gives it its value."""
    from ruamel.yaml.constructor import ConstructorError
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.resolver import VersionedResolver
    from ruamel.yaml.tag import Tag

    class Resolver(VersionedResolver):
        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is not ScalarNode or not implicit[0]:
                return super().resolve(kind, value, implicit)
            if value == "<<":
                return Tag(suffix=f"{TAG}merge")
            found = resolve(value)
            kinds = {bool: "bool", int: "int", float: "float", str: "str"}
            not_finite = NOT_FINITE.fullmatch(value) is not None
            return Tag(suffix=TAG + ("float" if not_finite else kinds.get(type(found), "null")))

    class Constructor(yaml_reader.constructor()):  # type: ignore[misc]
        def go_number(self, node: Any) -> Any:
            text = self.text(node)
            found = resolve(text)
            if NOT_FINITE.fullmatch(text):
                raise ConstructorError(None, None, f"JSON has no number {text}: quote it", node.start_mark)
            return Scalar(text, found) if isinstance(found, int | float) and not isinstance(found, bool) else text

        def go_boolean(self, node: Any) -> Any:
            found = resolve(self.text(node))
            if not isinstance(found, bool):
                raise ConstructorError(None, None, "not true or false", node.start_mark)
            return found

        def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
            if key is None:
                raise ConstructorError(None, None, "a key can't be null", key_node.start_mark)
            if isinstance(key, Scalar) and _is_rounded(key):
                raise ConstructorError(None, None, f"kubectl rounds the key {key}: quote it", key_node.start_mark)
            return bool(super().check_mapping_key(node, key_node, mapping, key, value))

    Constructor.add_constructor(f"{TAG}int", Constructor.go_number)
    Constructor.add_constructor(f"{TAG}float", Constructor.go_number)
    Constructor.add_constructor(f"{TAG}bool", Constructor.go_boolean)
    return Resolver, Constructor
