"""One YAML file as a model: the lines of its keys, and every error in it in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from slipway.config.fields import Model
from slipway.config.scalar import yaml_value
from slipway.config.secret_sources.registry import advice
from slipway.config.yaml_cache import YamlCache
from slipway.config.yaml_reader import Unreadable, documents_in, plain, text_of

M = TypeVar("M", bound=Model)
Keys = tuple[int | str, ...]  # the path to a value in a file: keys of mappings, indexes of lists


@dataclass
class FileErrors:
    """Errors in files, one line each: `file:line: summary · hint`."""

    lines: list[str] = field(default_factory=list)

    def add(self, file: Path, line: int, summary: str, hint: str = "") -> None:
        """Add an error. A file below the current directory is named relative to it."""
        here = Path.cwd()
        name = file.relative_to(here) if file.is_relative_to(here) else file
        self.lines.append(f"{name}:{line}: {summary}" + (f" · {hint}" if hint else ""))


@dataclass(frozen=True)
class Document:
    """One YAML file: its data in ruamel's round-trip types, which have the line of every key.

    Where `text` is given, the data is plain, and this text is read again for the first line that is asked for.
    """

    path: Path
    data: Any
    text: str | None = None

    @cached_property
    def _marked(self) -> Any:
        return self.data if self.text is None else _content(self.text)[0]

    def line(self, keys: Keys) -> int:
        """The line (from 1) of a key; of its nearest parent where it is absent."""
        node, line = self._marked, 1
        for key in keys:
            marks = getattr(node, "lc", None)
            try:
                line = (marks.key(key) if isinstance(node, Mapping) else marks.item(key))[0] + 1  # type: ignore[union-attr]
                node = node[key]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return int(line)

    def existing(self, loc: Keys) -> Keys:
        """A pydantic error's `loc` without what pydantic put in: tags of unions, `[key]`. The last may be absent.

        A tag is no key that a file may have: `{kind: packages}`, not `packages`.
        """
        node: Any = self._marked
        keys: list[int | str] = []
        for position, part in enumerate(loc, 1):
            if isinstance(node, Mapping):
                found = part in node
            else:
                found = isinstance(node, list) and isinstance(part, int) and part < len(node)
            if found:
                node = node[part]
            if found or (position == len(loc) and not str(part).startswith("[")):  # the name of a branch, or [key]
                keys.append(part)
        return tuple(keys)


def read(path: Path, errors: FileErrors, cache: YamlCache | None = None) -> Document | None:
    """One YAML file, or None with its error added."""
    try:
        text = text_of(path)
        if cache and (known := cache.find(text)) is not None:
            return Document(path, known, text)
        found = _content(text)
    except Unreadable as error:
        errors.add(path, error.line, error.summary, error.hint)
        return None
    if len(found) > 1 or not isinstance(found[0], Mapping):
        errors.add(path, 1, "must be one mapping" if len(found) > 1 else "must be a mapping", "lines of `key: value`")
        return None
    if cache:
        cache.add(text, plain(found[0]))
    return Document(path, found[0])


def _content(text: str) -> list[Any]:
    """The documents of a file that are not empty, or an empty one."""
    return [data for data in documents_in(text) if data is not None] or [{}]


def parse(document: Document, model: type[M], errors: FileErrors, **extra: object) -> M | None:
    """A document as a model, or None with its errors added."""
    try:
        data = {key: value for key, value in plain(document.data).items() if not key.startswith("x-")}  # of anchors
        return model.model_validate({**data, **extra})
    except ValidationError as invalid:
        for error in filter(_is_cause, invalid.errors(include_url=False)):
            keys = document.existing(error["loc"])
            summary, hint = in_plain_words(error, keys, model)
            errors.add(document.path, document.line(keys), summary, hint)
        return None


def _is_cause(error: Mapping[str, Any]) -> bool:
    """Whether an error is not only a result of others: without its invalid items, pydantic finds a list too short."""
    return error["type"] != "too_short" or bool(len(error["input"]) < error["ctx"]["min_length"])


TYPES = {  # by pydantic's types of errors (docs.pydantic.dev, "Validation Errors")
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
}
LIMITS = {  # the same, with the limit's name in the error's context
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
    "literal_error": ("", "expected"),
    "string_pattern_mismatch": ("text that matches", "pattern"),
}


def in_plain_words(error: Mapping[str, Any], keys: Keys, model: type[Model]) -> tuple[str, str]:
    """A pydantic error of a `model`'s file, at `keys`: what is wrong, and a hint."""
    name = ".".join(str(key) for key in keys) or "the file"
    kind, message, context = str(error["type"]), str(error["msg"]), error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key {name}", _known_keys(str(keys[-1]), model)
    if kind == "missing":
        return f"{name} is missing", ""
    if kind == "value_error":  # a validator of ours
        return f"{name}: {message.removeprefix('Value error, ')}", ""
    if kind == "union_tag_invalid":
        is_secret = keys[:1] == ("secrets",)
        hint = advice(str(keys[-1]), context["tag"], context["expected_tags"]) if is_secret else ""
        return f"{name} must be one of {context['expected_tags']}", hint
    secret = "secrets" in keys[:1] and error["loc"][-1] != "[key]"
    got = "" if secret else f", not {yaml_value(error.get('input'))!r:.60}"
    if kind == "string_type":
        return f"{name} must be a string{got}", _quoted(name, error.get("input"))
    if kind in TYPES:
        return f"{name} must be {TYPES[kind]}{got}", _example(name.rpartition(".")[2], model)
    if kind == "too_short":
        return f"{name} must have at least {context['min_length']} item", ""
    if kind in LIMITS:
        words, limit = LIMITS[kind]
        return f"{name} must be {f'{words} {context[limit]}'.strip()}{got}", ""
    return f"{name}: {message[:1].lower()}{message[1:]}{got}", ""


def _quoted(name: str, value: object) -> str:
    """How a value that YAML does not take for a text is written as one."""
    if value is not None and not isinstance(value, bool):
        return ""
    key = name.rpartition(".")[2]
    return f"as a text: {'-' if key.isdecimal() else f'{key}:'} '{'' if value is None else str(value).lower()}'"


def _example(key: str, model: type[Model]) -> str:
    examples = next((field.examples for name, field in _all_fields(model) if name == key and field.examples), [])
    return f"for example {' or '.join(f'`{key}: {example}`' for example in examples)}" if examples else ""


def _known_keys(key: str, model: type[Model]) -> str:
    near = difflib.get_close_matches(key, sorted({name for name, _ in _all_fields(model)}), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(_own_fields(model)))}"


def _own_fields(model: type[Model]) -> dict[str, FieldInfo]:
    """A model's fields, by their keys in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items() if name != "folder"}


def _all_fields(model: type[Model]) -> Iterator[tuple[str, FieldInfo]]:
    """Every key that is valid somewhere in a model's file, with its field."""
    seen: set[type] = set()
    waiting: list[Any] = [model]
    while waiting:
        kind = waiting.pop(0)
        if isinstance(kind, type) and issubclass(kind, Model) and kind not in seen:
            seen.add(kind)
            yield from _own_fields(kind).items()
            waiting += [field.annotation for field in kind.model_fields.values()]
        waiting += getattr(kind, "__args__", ())
