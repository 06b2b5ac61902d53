"""Reads YAML with ruamel: the line of every key, the text of every number, and errors in plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Any

from slipway.config.scalar import Scalar

SURROGATE = re.compile("[\ud800-\udfff]")
VALUES = 100_000  # of a file whose aliases are expanded: a few lines of aliases of aliases can be more than any memory


class Unreadable(ValueError):
    """A file that is not YAML: its line, what is wrong there, and a hint."""

    def __init__(self, line: int, summary: str, hint: str = "") -> None:
        super().__init__(summary)
        self.line, self.summary, self.hint = line, summary, hint


def documents(path: Path) -> Iterator[Any]:
    """The documents of a file, in ruamel's round-trip types. Raises Unreadable."""
    yield from documents_in(text_of(path))


def documents_in(text: str, make_parser: Callable[[], Any] | None = None) -> Iterator[Any]:
    """The documents in the text of a file. Raises Unreadable."""
    from ruamel.yaml.error import YAMLError

    try:
        for data in (make_parser or parser)().load_all(text):
            _require_usable(data, text)
            yield data
    except RecursionError:
        raise Unreadable(1, "too many levels") from None
    except YAMLError as error:
        raise _unreadable(error, text) from None


def text_of(path: Path) -> str:
    """The text of a file, without a byte order mark. Raises Unreadable."""
    try:
        content = path.read_bytes()
    except OSError as error:
        if path.is_symlink() and isinstance(error, FileNotFoundError):
            raise Unreadable(1, f"a link to {path.readlink()}, which does not exist", "remove or repair it") from None
        raise Unreadable(1, f"can't be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Unreadable(line, "not UTF-8 text", "save it as UTF-8") from None


def parser() -> Any:
    """Ruamel's round-trip reader of YAML 1.2, with the constructor below."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.allow_duplicate_keys = False
    yaml.Constructor = constructor()
    return yaml


@cache
def constructor() -> type:
    """The constructor class, which keeps the text of numbers and dates and refuses the tags of other programs."""
    from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor, SafeConstructor

    class Constructor(RoundTripConstructor):
        def whole_number(self, node: Any) -> str:
            return self._number(node, SafeConstructor.construct_yaml_int)

        def number(self, node: Any) -> str:
            return self._number(node, SafeConstructor.construct_yaml_float)

        def _number(self, node: Any, value: Any) -> str:
            try:
                found = value(self, node)
                str(found)  # of more digits than Python writes it raises ValueError
                return Scalar(self.text(node), found)
            except (ValueError, IndexError, OverflowError):  # such as `0x_`: a number to ruamel's patterns alone
                return self.text(node)

        def date(self, node: Any) -> Scalar:
            return Scalar(self.text(node), self.text(node))

        def text(self, node: Any) -> str:
            return str(self.construct_scalar(node))

        def boolean(self, node: Any) -> Any:
            if self.text(node).lower() not in self.bool_values:
                raise ConstructorError(None, None, "not true or false", node.start_mark)
            return self.construct_yaml_sbool(node)

        def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
            try:
                hash(key)
            except TypeError:  # a list in a mapping that is a key
                raise ConstructorError(None, None, "a key can't be a mapping or list", key_node.start_mark) from None
            return bool(super().check_mapping_key(node, key_node, mapping, key, value))

        def unknown(self, node: Any) -> None:
            raise ConstructorError(None, None, f"unknown tag {node.tag}", node.start_mark)

    for tag, construct in {
        "tag:yaml.org,2002:int": Constructor.whole_number,
        "tag:yaml.org,2002:float": Constructor.number,
        "tag:yaml.org,2002:timestamp": Constructor.date,
        "tag:yaml.org,2002:str": Constructor.construct_scalar,
        "tag:yaml.org,2002:bool": Constructor.boolean,
        "tag:yaml.org,2002:binary": Constructor.unknown,
        "tag:yaml.org,2002:omap": Constructor.unknown,
        "tag:yaml.org,2002:pairs": Constructor.unknown,
        None: Constructor.unknown,
    }.items():
        Constructor.add_constructor(tag, construct)
    return Constructor


def _require_usable(data: Any, text: str) -> None:
    """Raise Unreadable where aliases expand without end, or where an escape is half a character."""
    if "*" not in text and "\\" not in text:  # neither an alias nor an escape
        return
    waiting, found = [data], 0
    while waiting:
        value, found = waiting.pop(), found + 1
        if found > VALUES:
            raise Unreadable(1, f"more than {VALUES} values, counting what aliases repeat")
        if isinstance(value, str) and SURROGATE.search(value):
            line = next(
                (n for n, one in enumerate(text.splitlines(), 1) if re.search(r"(?i)\\u(0{4})?d[89a-f]", one)), 1
            )
            raise Unreadable(line, "a surrogate is not a character", "write the character itself, or its \\U escape")
        if isinstance(value, Mapping):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value


def _unreadable(error: Exception, text: str) -> Unreadable:
    from ruamel.yaml.error import MarkedYAMLError

    if not isinstance(error, MarkedYAMLError):
        position = getattr(error, "position", 0)  # of a ReaderError: a character that YAML does not allow
        return Unreadable(text.count("\n", 0, position) + 1, str(error).splitlines()[0])
    mark = error.problem_mark or error.context_mark
    summary = str(error.problem or error.context or "not YAML").split("\n")[0].partition(" with value ")[0]  # a secret?
    if mark is None:
        return Unreadable(1, summary)
    line = "".join(text.splitlines()[mark.line : mark.line + 1])
    return Unreadable(mark.line + 1, summary, _hint(summary, line[: mark.column]))


def _hint(summary: str, before: str) -> str:
    """What helps against ruamel's `summary`, where `before` is the line up to where it stopped."""
    if "mapping values are not allowed" in summary:
        if ": " not in before:
            return "check the indentation"
        return "a value with `: ` in it needs quotes, or `>-` behind the key and the value below it, indented"
    if "'\\t'" in summary:
        return "indent with spaces"
    if "cannot start any token" in summary or "alias" in summary:
        return "a value that starts with this character needs quotes"
    if "a key can't be" in summary:
        return "a value that starts with {{ needs quotes"
    if "',' or" in summary:
        return "in {…} and […], a value with one of , : { } [ ] in it needs quotes"
    if "end of stream" in summary:
        return "a quote is not closed"
    return "Slipway has no tags: remove it, or quote the value" if "unknown tag" in summary else ""


def plain(value: Any) -> Any:
    """Round-trip types as Python's own; numbers and dates stay a `Scalar`."""
    if isinstance(value, Mapping):
        return {_key(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [plain(one) for one in value]
    if isinstance(value, Scalar) or value is None:
        return value
    return bool(value) if isinstance(value, int) else str(value)


def _key(key: object) -> str:
    return "null" if key is None else str(key).lower() if isinstance(key, bool) else str(key)
