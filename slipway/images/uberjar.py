"""An uberjar with new entries of the project's own; those of its dependencies stay as they are, still compressed."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Parts:
    """How many entries of an uberjar are the project's own, which come first, and which of a dependency they hide."""

    own: int
    hidden: frozenset[str] = frozenset()


def parts(uberjar: Path, thin: Path, dependencies: Collection[Path]) -> Parts | None:
    """The parts of an uberjar that Leiningen made of the project's own jar and those; None if they don't fit."""
    with zipfile.ZipFile(uberjar) as whole, zipfile.ZipFile(thin) as jar:
        names, own = whole.namelist(), set(jar.namelist())
    count = next((at for at, name in enumerate(names) if name not in own), len(names))
    if own.intersection(names[count:]):
        return None
    others: set[str] = set()
    for path in dependencies:
        with zipfile.ZipFile(path) as jar:
            others.update(jar.namelist())
    return Parts(count, frozenset(own & others))


def replace_own(uberjar: Path, of: Parts, own: Path, target: Path) -> Parts | None:
    """Write `target`: the entries of `own`, then those of an uberjar's dependencies that are not in it.

    None, and no file, where an entry is gone that hides one of a dependency: that is not in the uberjar.
    """
    with zipfile.ZipFile(uberjar) as whole, zipfile.ZipFile(own) as new:
        infos, added = whole.infolist(), new.infolist()
        names = set(new.namelist())
        if not of.hidden <= names:
            return None
        others = [info for info in infos[of.own :] if info.filename not in names]
        hidden = of.hidden | names.intersection(info.filename for info in infos[of.own :])
        with zipfile.ZipFile(target, "w") as out:
            _move(new, added, out)
            _move(whole, others, out)
    return Parts(len(added), hidden)


def _move(source: zipfile.ZipFile, infos: Collection[zipfile.ZipInfo], out: zipfile.ZipFile) -> None:
    """Move entries as they are, behind what `out` has already; the directory of all entries follows on closing.

    Nothing more can be read of them from `source`, whose entries they are.
    """
    file, into = source.fp, out.fp
    assert file  # noqa: S101  both are open
    assert into  # noqa: S101
    ends = _ends(source)
    for start, end, run in _runs(infos, ends):
        moved = into.tell() - start
        _copy_bytes(file, start, end, into)
        for info in run:
            info.header_offset += moved
            out.filelist.append(info)
            out.NameToInfo[info.filename] = info
    out.start_dir = into.tell()


def _ends(source: zipfile.ZipFile) -> dict[int, int]:
    """Where each entry ends, by where it starts."""
    starts = sorted(info.header_offset for info in source.infolist())
    return dict(zip(starts, [*starts[1:], source.start_dir], strict=True))


def _runs(infos: Collection[zipfile.ZipInfo], ends: dict[int, int]) -> Iterator[tuple[int, int, list[zipfile.ZipInfo]]]:
    """Entries that follow each other in the file, as one: where they start and end."""
    run: list[zipfile.ZipInfo] = []
    for info in infos:
        if run and ends[run[-1].header_offset] != info.header_offset:
            yield run[0].header_offset, ends[run[-1].header_offset], run
            run = []
        run.append(info)
    if run:
        yield run[0].header_offset, ends[run[-1].header_offset], run


def _copy_bytes(file: IO[bytes], start: int, end: int, into: IO[bytes]) -> None:
    file.seek(start)
    left = end - start
    while left and (data := file.read(min(left, 1 << 20))):
        into.write(data)
        left -= len(data)
