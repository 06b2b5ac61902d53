"""A jar's manifest: read, and written again for the two jars that an uberjar becomes.

The format is that of the JAR file specification, "JAR Manifest"; a test compares it with java.util.jar.Manifest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

NAME = "META-INF/MANIFEST.MF"
LINE = 72  # bytes of a line, without its end
MULTI_RELEASE = "Multi-Release"
# About the machine that built it, not about the program: with these no two machines would build the same layer.
OF_THE_BUILD = re.compile(
    r"Manifest-Version|Created-By|Built-By|Build-(Jdk|Jdk-Spec|Time|Date)|Bnd-LastModified", re.IGNORECASE
)

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """The main attributes, and those of single entries and packages (`a/b/`) by their name."""

    main: Attributes = field(default_factory=dict)
    entries: Mapping[str, Attributes] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """A main attribute, whose name has no case; empty where there is none."""
        return next((value for key, value in self.main.items() if key.lower() == name.lower()), "")


def parse(content: bytes) -> Manifest:
    """The manifest. Lines end with CR LF, LF or CR; one that starts with a space continues the one before."""
    unfolded = re.sub(rb"\r\n|\r", b"\n", content).replace(b"\n ", b"")
    main, *sections = (_attributes(part) for part in re.split(r"\n{2,}", unfolded.decode(errors="replace").strip("\n")))
    entries: dict[str, dict[str, str]] = {}
    for attributes in sections:
        name = next((attributes.pop(key) for key in list(attributes) if key.lower() == "name"), "")
        entries.setdefault(name, {}).update(attributes)
    return Manifest(main, {name: attributes for name, attributes in entries.items() if name})


def app_manifest(whole: Manifest, dependencies: str, own: Callable[[str], bool]) -> Manifest:
    """The manifest of the service's own part: all that the whole one has, with `dependencies` first in Class-Path."""
    changed = {"class-path", "main-class"}
    path = " ".join(filter(None, (dependencies, whole.get("Class-Path"))))
    first = {"Main-Class": whole.get("Main-Class"), "Class-Path": path}
    rest = {key: value for key, value in whole.main.items() if key.lower() not in changed}
    return Manifest({key: value for key, value in (first | rest).items() if value}, _entries(whole, own))


def dependencies_manifest(whole: Manifest, own: Callable[[str], bool], *, versioned: bool) -> Manifest:
    """The manifest of the dependencies: what it says of theirs, and whether the JVM looks at META-INF/versions."""
    release = whole.get(MULTI_RELEASE) if versioned else ""

    def others(name: str) -> bool:
        return name.endswith("/") or not own(name)

    return Manifest({MULTI_RELEASE: release} if release else {}, _entries(whole, others))


def _entries(whole: Manifest, wanted: Callable[[str], bool]) -> dict[str, Attributes]:
    """What it says of packages, which may be in both parts, and of the entries of one part."""
    return {name: of for name, of in whole.entries.items() if name.endswith("/") or wanted(name)}


def write(manifest: Manifest) -> bytes:
    """The manifest's file: Main-Class and Class-Path first, all else sorted, without what is about the build alone."""
    lines = ["Manifest-Version: 1.0", *_lines(manifest.main)]
    for name, attributes in sorted(manifest.entries.items()):
        lines += ["", f"Name: {name}", *_lines(attributes)]
    return b"".join(map(_folded, [*lines, ""]))


def _lines(attributes: Attributes) -> Iterator[str]:
    first = ("Main-Class", "Class-Path")
    kept = {key: value for key, value in attributes.items() if not OF_THE_BUILD.fullmatch(key)}
    for key in sorted(kept, key=lambda key: (first.index(key) if key in first else len(first), key)):
        yield f"{key}: {kept[key]}"


def _folded(line: str) -> bytes:
    content = line.encode()
    parts = [content[:LINE], *(content[at : at + LINE - 1] for at in range(LINE, len(content), LINE - 1))]
    return b"\r\n ".join(parts) + b"\r\n"


def _attributes(section: str) -> dict[str, str]:
    lines = (line.partition(": ") for line in section.split("\n"))
    return {key: value for key, separator, value in lines if separator}
