"""A service's build context: the files that Docker would take from its folder, as a tar."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from slipway.images import docker_ignore
from slipway.images import jar as jars
from slipway.images.source_digest import NOT_IN_A_JAR, points_outside, project_files, read_source, source_files

SPLIT_JAR = "target/slipway/"  # where a Dockerfile finds deps.jar and app.jar


def context_files(folder: Path, dockerfile: str) -> list[Path]:
    """The files of the project that .dockerignore leaves in the context, and the Dockerfile.

    A link to a folder outside is not among them: in an image it would point nowhere. Raises UsageError for a
    .dockerignore that Docker refuses.
    """
    [files] = project_files(folder)
    rules = docker_ignore.read_rules(file) if (file := docker_ignore.ignore_file(folder, dockerfile)) else []
    needed = {folder / dockerfile, folder / ".dockerignore"}  # Docker's builder asks for both
    kept = [
        path
        for path in files
        if path in needed
        or not (points_outside(path, folder) or docker_ignore.is_left_out(rules, path.relative_to(folder).as_posix()))
    ]
    return kept if folder / dockerfile in kept else [*kept, folder / dockerfile]


def build_context(folder: Path, dockerfile: str, digest: str, jar: Path | None, shared: Sequence[Path] = ()) -> bytes:
    """The build context as a tar: the service's files and its jar, as the Dockerfile names it.

    A Dockerfile that copies `target/slipway/deps.jar` and `app.jar` gets the jar in two, so that a change of code
    changes one small layer; any other finds the jar where Leiningen created it, by Leiningen's name. What the jar has
    from `shared` folders counts as the service's own code. The jar is there whatever .dockerignore says.
    """
    files = context_files(folder, dockerfile)
    added: dict[str, bytes] = {}
    if jar is not None:
        needed = folder / dockerfile
        files = [path for path in files if path.relative_to(folder).parts[0] not in NOT_IN_A_JAR or path == needed]
        if SPLIT_JAR.encode() in read_source(folder / dockerfile):
            parts = jars.split_jar(jar, source_files(folder, *shared))
            added[SPLIT_JAR + "deps.jar"], added[SPLIT_JAR + "app.jar"] = parts
        else:
            path = jar.with_name(jars.original_name(jar, digest)).relative_to(folder)
            added[path.as_posix()] = jar.read_bytes()
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
