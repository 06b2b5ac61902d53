"""What must be known of a Dockerfile before Docker reads it: whether it is built on one of the project's base images.

All else is Docker's answer to a build. This can't be: the plan says which base images will be provided before anything
is built, and a build would look for one that is missing in a registry.
"""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ESCAPE = re.compile(r"#\s*escape\s*=\s*(.)", re.IGNORECASE)
DIRECTIVE = re.compile(r"#\s*\w+\s*=")  # `# escape=…` is one as long as nothing else has come before


def uses_base_argument(file: Path) -> bool:
    """Whether the Dockerfile has `ARG BASE` before its first FROM: only there it is known to a FROM."""
    for line in _lines(file.read_bytes()):
        instruction, _, rest = line.partition(" ")
        if instruction.upper() == "FROM":
            return False
        if instruction.upper() == "ARG" and "BASE" in _argument_names(rest):
            return True
    return False


def _argument_names(text: str) -> set[str]:
    try:
        words = shlex.split(text)
    except ValueError:  # a quote is not closed, which Docker tells
        words = text.split()
    return {word.partition("=")[0] for word in words}


def _lines(content: bytes) -> Iterator[str]:
    """The lines with those joined that the escape character continues, without comments; words part by one space."""
    escape, begun, directives = "\\", "", True
    for raw in content.removeprefix(codecs.BOM_UTF8).decode(errors="replace").split("\n"):
        line = raw.strip()
        directives = directives and DIRECTIVE.match(line) is not None
        if directives and (found := ESCAPE.fullmatch(line)):
            escape = found[1]
        if not line or line.startswith("#"):
            continue
        joined = line.endswith(escape) and not line.endswith(escape * 2)
        begun += line.removesuffix(escape) if joined else line
        if not joined:
            yield " ".join(begun.split())
            begun = ""
    yield begun
