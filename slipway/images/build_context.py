"""A service's build context: the files that Docker would take from its folder, as a tar."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection
from pathlib import Path

from slipway.images import docker_ignore
from slipway.images.git_files import ListFiles, unignored_files
from slipway.images.source_digest import points_outside, project_files, read_source

SPLIT_JAR = "target/slipway/"  # where a Dockerfile finds deps.jar and app.jar


def context_files(folder: Path, dockerfile: str, list_files: ListFiles = unignored_files) -> list[Path]:
    """The files of the project that .dockerignore leaves in the context, and the Dockerfile.

    A link to a folder outside is not among them: in an image it would point nowhere. Raises UsageError for a
    .dockerignore that Docker refuses.
    """
    [files] = project_files(folder, list_files=list_files)
    rules = docker_ignore.read_rules(file) if (file := docker_ignore.ignore_file(folder, dockerfile)) else []
    needed = {folder / dockerfile, folder / ".dockerignore"}  # Docker's builder asks for both
    kept = [
        path
        for path in files
        if path in needed
        or not (points_outside(path, folder) or docker_ignore.is_left_out(rules, path.relative_to(folder).as_posix()))
    ]
    return kept if folder / dockerfile in kept else [*kept, folder / dockerfile]


def build_context(folder: Path, dockerfile: str, digest: str, jar: Path | None, sources: Collection[Path]) -> bytes:
    """The build context as a tar: what Docker would take of the sources, and the jar as the Dockerfile names it.

    A Dockerfile that copies `target/slipway/deps.jar` and `app.jar` gets the jar in two, so that a change of code
    changes one small layer; any other finds the jar where its builder created it, by that name. What the jar has from
    sources elsewhere counts as the service's own code. The jar is there whatever .dockerignore says.
    """
    from slipway.images import jar as jars  # here, since most runs build nothing

    known = frozenset(sources)
    files = [path for path in context_files(folder, dockerfile) if path in known]
    added: dict[str, bytes] = {}
    if jar is not None:
        if SPLIT_JAR.encode() in read_source(folder / dockerfile):
            added[SPLIT_JAR + "deps.jar"], added[SPLIT_JAR + "app.jar"] = jars.split_jar(jar, sources)
        else:
            added[jars.original_path(jar, digest, folder)] = jar.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in files:
            _add(archive, path, folder)
        for name, content in sorted(added.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: Path, folder: Path) -> None:
    content, entry = read_source(path), tarfile.TarInfo(path.relative_to(folder).as_posix())
    if path.is_file():
        entry.size, entry.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
        archive.addfile(entry, io.BytesIO(content))
    else:
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        archive.addfile(entry)
