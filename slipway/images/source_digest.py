"""The source digest of a service: it names the service's jar, image and release."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import translate
from pathlib import Path

from slipway.engine.reporter import null_reporter
from slipway.errors import Problem, UsageError
from slipway.hosts.host import Command, Host
from slipway.images.git_files import ListFiles, unignored_files

DIGITS = 16  # hex digits: 64 bits, enough to tell a team's sources apart
NOT_IN_A_JAR = frozenset({"target", "test", "manifests", "README.md"})  # at the top of a folder
DEPLOYMENT_FILES = frozenset({"service.yaml", "service.yml"})  # at the top too; what they say has digests of its own
EXCLUDED = NOT_IN_A_JAR | DEPLOYMENT_FILES
SCRATCH = (  # of editors and tools: .cpcache is the Clojure CLI's, the reduced POM that of Maven's shade plugin
    *("*.swp", "*~", ".#*", "#*#", ".lein-*", ".nrepl-port", "__pycache__", ".DS_Store"),
    *(".cpcache", "dependency-reduced-pom.xml"),
)
_SCRATCH = re.compile("|".join(map(translate, SCRATCH)))


def project_files(*folders: Path, list_files: ListFiles = unignored_files) -> list[list[Path]]:
    """Per folder, the files that a build can read, in the order of a walk: what Git would not ignore.

    Without what editors leave behind and without service.yaml. Raises UsageError where Git can't read a repository.
    """
    return [
        [path for path in files if path.relative_to(folder).as_posix() not in DEPLOYMENT_FILES]
        for folder, files in zip(folders, _listed(list_files, *folders), strict=True)
    ]


def _listed(list_files: ListFiles, *folders: Path) -> list[list[Path]]:
    return [
        [folder / name for name in sorted(names, key=_walk_order) if _is_source(name)]
        for folder, names in zip(folders, list_files(*folders), strict=True)
    ]


def source_files(
    *paths: Path,
    named: Collection[Path] = (),
    generated: Collection[Path] = (),
    list_files: ListFiles = unignored_files,
) -> list[Path]:
    """The files that a builder can read: a path that is a file, and those of the project in one that is a folder.

    Tests, documents and what was built, at the top of `paths`, do not count; at paths `named` by the builder all does.
    What is in `generated`, which it writes, never counts; a path where nothing is has no files.
    A symbolic link counts as the file that it points to; one to a folder outside, as in `checkouts/`, as the files in
    there; and as a link only where it points to a folder inside, or nowhere. Raises UsageError for a link to a folder
    that the link itself is in.
    """
    folders = [path for path in dict.fromkeys((*paths, *named)) if path.is_dir()]
    listed = dict(zip(folders, _listed(list_files, *folders), strict=True))
    found: dict[Path, None] = {}
    for path in (*paths, *named):
        if path in listed:
            above = tuple(top.resolve() for top in (*paths, path) if path.is_relative_to(top))
            found |= dict.fromkeys(_with_linked(path, listed[path], above, EXCLUDED if path in paths else frozenset()))
        elif path.is_file():
            found[path] = None
    written = tuple(f"{path}/" for path in generated)
    return [path for path in found if not f"{path}/".startswith(written)]


def points_outside(link: Path, folder: Path) -> bool:
    """Whether this is a link to a folder that an image of `folder` can't have: outside, or by an absolute path."""
    if not (link.is_symlink() and link.is_dir()):
        return False
    return link.readlink().is_absolute() or not link.resolve().is_relative_to(folder.resolve())


def digest(folder: Path, settings: Iterable[str], files: Iterable[Path]) -> str:
    """The digest of what is built from: names, contents and executable bits of `files`, and `settings`.

    Times, owners and the folder's own path do not count. The result is the first `DIGITS` hex digits of a sha256.
    """
    hashed = hashlib.sha256()
    for setting in settings:
        hashed.update(f"setting {len(setting)} {setting}\n".encode())
    folders = dict[str, str]()  # from `folder`, by the folder of a file: many files are in few
    for path in files:
        content = read_source(path)
        executable = os.access(path, os.X_OK)
        above, _, own = str(path).rpartition("/")
        if above not in folders:
            folders[above] = os.path.relpath(above or "/", folder)
        name = os.path.normpath(f"{folders[above]}/{own}")
        hashed.update(os.fsencode(f"file {len(name)} {name} {executable} {len(content)}\n"))
        hashed.update(content)
    return hashed.hexdigest()[:DIGITS]


def read_source(path: Path) -> bytes:
    """The content of a file, or where a link that is none points to. Raises UsageError if it can't be read."""
    try:
        return path.read_bytes() if path.is_file() else os.fsencode(path.readlink())
    except OSError as error:
        hint = "let Git or .dockerignore ignore it if it is no source; or run the same command again"
        raise UsageError(f"{path} can't be read", details=str(error), hint=hint) from error


def is_scratch(name: str) -> bool:
    """Whether editors and tools leave files or folders of this name behind."""
    return bool(_SCRATCH.match(name))


def _is_source(name: str) -> bool:
    return not any(map(is_scratch, name.split("/")))


def _walk_order(name: str) -> list[tuple[bool, str]]:
    """The files of a folder before its folders, each by name."""
    *folders, file = name.split("/")
    return [*((True, folder) for folder in folders), (False, file)]


def _with_linked(
    folder: Path, files: Iterable[Path], above: tuple[Path, ...], excluded: Collection[str]
) -> Iterator[Path]:
    """The sources among files, with those of folders outside in place of the links to them.

    `above` are the folders on the way; a link to one of those adds nothing. `excluded` are names at a folder's top.
    """
    within = len(f"{folder}/")
    for path in files:
        if str(path)[within:].partition("/")[0] in excluded:
            continue
        if not points_outside(path, folder):
            yield path
        elif (target := path.resolve()) not in above:
            if any(one.is_relative_to(target) for one in above):
                hint = "link to the folder that is needed, or list that under `sources` in service.yaml"
                raise UsageError(f"{path} points to a folder that it is in itself", details=str(target), hint=hint)
            [linked] = _listed(unignored_files, path)
            yield from _with_linked(path, linked, (*above, target), excluded)


def commit(host: Host, root: Path) -> str:
    """The Git commit of a checkout, with `-dirty` for uncommitted changes; empty outside a repository, or without Git.

    Read from `git status --porcelain=v2 --branch`, whose lines without a # are changes (git-status(1)).
    """
    words = ("git", "-C", str(root), "status", "--porcelain=v2", "--branch")
    try:
        result = host.run(Command(words, timeout=60), null_reporter())
    except Problem:  # Git is not installed
        return ""
    found = re.search(r"^# branch.oid ([0-9a-f]{12})", result.text, re.MULTILINE)
    if result.exit_code or not found:
        return ""
    return found[1] + ("-dirty" if re.search(r"^[^#]", result.text, re.MULTILINE) else "")
