"""One YAML file as a model: its line numbers kept, and every fault in it said in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from slipway.config.fields import Model

M = TypeVar("M", bound=Model)
CHOICES = frozenset({"Generated", "Of", "FromEnv", "FromFile"})  # pydantic names these in the place of a fault


@dataclass
class Faults:
    """What is wrong, one line each: `file:line: what · hint`."""

    lines: list[str] = field(default_factory=list)

    def add(self, file: Path, line: int, summary: str, hint: str = "") -> None:
        """Note a fault; a file below the current directory is named from there."""
        here = Path.cwd()
        name = file.relative_to(here) if file.is_relative_to(here) else file
        self.lines.append(f"{name}:{line}: {summary}" + (f" · {hint}" if hint else ""))


@dataclass(frozen=True)
class Document:
    """One YAML file: its plain data, and the line of every key."""

    path: Path
    data: Any

    def line(self, place: tuple[int | str, ...]) -> int:
        """The line (from 1) of a place in the file; of its nearest parent where it is absent."""
        node, line = self.data, 1
        for part in place:
            marks = getattr(node, "lc", None)
            try:
                line = (marks.key(part) if isinstance(node, Mapping) else marks.item(part))[0] + 1  # type: ignore[union-attr]
                node = node[part]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return int(line)


def read(path: Path, faults: Faults) -> Document | None:
    """One YAML file, or None behind a fault."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML(typ="rt")
    yaml.allow_duplicate_keys = False
    try:
        data = yaml.load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        text = str(error.problem or error.context or "not YAML").split("\n")[0]
        faults.add(path, mark.line + 1 if mark else 1, text.partition(" with value ")[0])  # a value may be a secret
        return None
    except (YAMLError, OSError, ValueError, RecursionError) as error:
        faults.add(path, 1, f"it can't be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        return None
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        faults.add(path, 1, "it must be keys and values", "`key: value` lines")
        return None
    return Document(path, data)


def plain(value: Any) -> Any:
    """YAML's round-trip types as plain ones."""
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(v) for v in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def parse(document: Document, model: type[M], faults: Faults, **extra: object) -> M | None:
    """A document as a model, or None with its faults noted."""
    try:
        return model.model_validate({**plain(document.data), **extra})
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = tuple(fault["loc"])
            summary, hint = said(fault, model)
            faults.add(document.path, document.line(place), summary, hint)
        return None


def said(fault: Mapping[str, Any], model: type[Model]) -> tuple[str, str]:
    """A pydantic fault in plain words: what, and a hint."""
    place = [part for part in fault["loc"] if part not in CHOICES]
    name = ".".join(str(part) for part in place) or "the file"
    got = repr(fault.get("input"))[:60]
    kind = str(fault["type"])
    if kind == "extra_forbidden":
        known = sorted(_keys(model))
        near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(_own(model)))}"
        return f"unknown key {name}", hint
    if kind == "missing":
        return f"{name} is missing", ""
    words = {
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "float_type": "a number",
        "string_type": "text",
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "dict_type": "keys and values",
        "model_type": "keys and values",
        "tuple_type": "a list",
    }
    if kind in words:
        return f"{name} must be {words[kind]}, not {got}", ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}" + ("" if got in message else f", not {got}"), ""


def _own(model: type[Model]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()} - {"folder"}


def _keys(model: type[Model]) -> Iterator[str]:
    """Every key that may stand somewhere in a model's file."""
    seen: set[type] = set()
    waiting: list[Any] = [model]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, Model) and kind not in seen:
            seen.add(kind)
            yield from _own(kind)
            waiting += [f.annotation for f in kind.model_fields.values()]
        waiting += getattr(kind, "__args__", ())
