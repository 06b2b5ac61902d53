"""A .dockerignore file, read as Docker reads it.

A port of github.com/moby/patternmatcher, which both of Docker's builders use. docker-py has one too, which differs:
it ignores case and backslashes, and `!a/b/key` behind `**/b` brings all of a/b back.
"""

from __future__ import annotations

import codecs
import os
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path

from slipway.errors import UsageError

PART = re.compile(r"(?s)\*\*/?|\\.|.")
LITERAL = re.compile(r"[^*?\\\[\]]*")  # what moby compares as text


@dataclass(frozen=True)
class Rule:
    """One line: paths that `matches` are left out, or brought back where it is an `exception` (`!`)."""

    matches: Callable[[str], object]
    exception: bool


def ignore_file(folder: Path, dockerfile: str) -> Path | None:
    """The file with the rules of a build: `X.dockerignore` beside Dockerfile X, or else `.dockerignore`."""
    files = (folder / f"{dockerfile}.dockerignore", folder / ".dockerignore")
    return next((file for file in files if file.is_file()), None)


def read_rules(file: Path) -> list[Rule]:
    """The rules of a file. Raises UsageError for a line that Docker refuses."""
    return [_rule(file, line) for line in _lines(file.read_bytes())]


def is_left_out(rules: list[Rule], path: str) -> bool:
    """Whether the rules leave a file out (`MatchesUsingParentResults`).

    The last rule that matches it or a folder above it prevails; but for a folder, one that would change nothing is
    not tried, and so not known to match it.
    """
    matched, left_out = [False] * len(rules), False
    for candidate in accumulate(path.split("/"), posixpath.join):
        left_out = False
        for i, rule in enumerate(rules):
            matched[i] = matched[i] or (rule.exception == left_out and bool(rule.matches(candidate)))
            if matched[i]:
                left_out = not rule.exception
    return left_out


def _lines(content: bytes) -> Iterator[str]:
    """The patterns as `ignorefile.ReadAll` cleans them: with `!` in front, and without slashes around them."""
    for line in os.fsdecode(content.removeprefix(codecs.BOM_UTF8)).split("\n"):
        pattern = line.strip()
        if pattern and not line.startswith("#"):
            exception = "!" if pattern.startswith("!") else ""
            pattern = pattern.removeprefix("!").strip()
            cleaned = posixpath.normpath(pattern) if pattern else ""
            yield exception + (cleaned.lstrip("/") or cleaned)


def _rule(file: Path, line: str) -> Rule:
    pattern = line.removeprefix("!")
    try:
        if not pattern:
            raise ValueError("nothing to bring back")
        return Rule(_matcher(pattern), exception=line != pattern)
    except (ValueError, re.error) as error:
        raise UsageError(f"{file}: invalid pattern: {line}", details=str(error)) from error


def _matcher(pattern: str) -> Callable[[str], object]:
    suffix = pattern.removeprefix("**")
    if LITERAL.fullmatch(pattern):
        return pattern.__eq__
    if suffix != pattern and LITERAL.fullmatch(suffix):
        return partial(_ends_with, suffix)
    found = PART.findall(pattern)
    parts = [_regex(part) for part in found]
    if found[-1] == "**":
        parts[-1] = ".*"  # all that is in a folder; elsewhere ** is any number of folders
    return re.compile("".join(parts)).fullmatch


def _ends_with(suffix: str, path: str) -> bool:
    return path.endswith(suffix) or path == suffix.removeprefix("/")


def _regex(part: str) -> str:
    match part:
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case "**" | "**/":
            return "(.*/)?"
        case _:
            return re.escape(part) if part in ".+()|{}$" else part
