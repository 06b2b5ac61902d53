"""Where a service's Clojure sources are on its class path, as its jar shows it, whoever built that."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SOURCES = (".clj", ".cljc")


@dataclass(frozen=True)
class SourceFolders:
    """The folders on the class path that have Clojure sources."""

    folders: tuple[Path, ...] = ()

    def path_of(self, file: Path) -> str | None:
        """The path of a Clojure source on the class path; None for any other file."""
        if file.suffix not in SOURCES:
            return None
        folder = next((one for one in self.folders if file.is_relative_to(one)), None)
        return file.relative_to(folder).as_posix() if folder else None

    def paths(self, files: Iterable[Path]) -> dict[str, Path]:
        """The Clojure sources among files, by their paths on the class path."""
        return {path: file for file in files if (path := self.path_of(file))}


def source_folders(jar: Path, files: Iterable[Path]) -> SourceFolders:
    """The folders whose Clojure sources among `files` are in the jar, as they are or compiled. Innermost first."""
    with zipfile.ZipFile(jar) as archive:
        names = set(archive.namelist())
    found = {folder for file in files if file.suffix in SOURCES for folder in _folder(file, names)}
    return SourceFolders(tuple(sorted(found, key=_depth, reverse=True)))


def _depth(folder: Path) -> int:
    return len(folder.parts)


def _folder(file: Path, names: set[str]) -> Iterable[Path]:
    """The folder from which a file's path is in a jar, if it is there: the outermost."""
    for folder in reversed(file.parents):
        path = file.relative_to(folder)
        if path.as_posix() in names or f"{path.with_suffix('').as_posix()}__init.class" in names:
            return [folder]
    return []
