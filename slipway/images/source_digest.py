"""The source digest of a service: it names the service's jar, image and release."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from slipway.engine.reporter import null_reporter
from slipway.errors import Problem, UsageError
from slipway.hosts.host import Command, Host

DIGITS = 16  # hex digits: 64 bits, enough to tell a team's sources apart
EXCLUDED_AT_TOP = frozenset({"target", "test", "manifests", ".git", ".lein-failures", ".nrepl-port", ".DS_Store"})
DEPLOYMENT_FILES = frozenset({"service.yaml", "service.yml", "README.md"})


def source_files(folder: Path) -> Iterator[Path]:
    """The files that a build can read, sorted by name: what Git would not ignore, without tests and deployment files.

    A symbolic link counts as the file that it points to, and as a link only where it points to a folder or nowhere.
    Raises UsageError for a link to a folder outside, whose content would be in no digest.
    """
    ignored = _ignored(folder)
    for path, folders, names in os.walk(folder):
        here = Path(path)
        top = here == folder
        skip = EXCLUDED_AT_TOP if top else frozenset({".git"})
        base = "" if top else here.relative_to(folder).as_posix() + "/"
        links = [f for f in folders if (here / f).is_symlink()]
        folders[:] = sorted(f for f in folders if f not in skip and f not in links and not ignored(f"{base}{f}/"))
        for name in sorted([*names, *links]):
            if not (top and name in DEPLOYMENT_FILES | EXCLUDED_AT_TOP) and not ignored(base + name):
                if name in links:
                    _require_inside(here / name, folder)
                if (here / name).is_file() or (here / name).is_symlink():  # no sockets or pipes
                    yield here / name


def _require_inside(link: Path, folder: Path) -> None:
    if link.readlink().is_absolute() or not link.resolve().is_relative_to(folder.resolve()):
        summary = f"{link} points to a folder outside {folder.name}"
        hint = "list that folder under `sources` in service.yaml, or copy it"
        raise UsageError(summary, details=f"its target is {link.readlink()}", hint=hint)


def digest(folder: Path, settings: Iterable[str], shared: Iterable[Path] = ()) -> str:
    """The digest of what is built from: names, contents and executable bits of files, and `settings`.

    `shared` are other folders that the build reads too. Times, owners and the folder's own path do not count. The
    result is the first `DIGITS` hex digits of a sha256.
    """
    hashed = hashlib.sha256()
    for setting in settings:
        hashed.update(f"setting {len(setting)} {setting}\n".encode())
    for path in (path for part in (folder, *shared) for path in source_files(part)):
        content = path.read_bytes() if path.is_file() else str(path.readlink()).encode()
        executable = os.access(path, os.X_OK)
        name = Path(os.path.relpath(path, folder)).as_posix()
        hashed.update(f"file {len(name)} {name} {executable} {len(content)}\n".encode())
        hashed.update(content)
    return hashed.hexdigest()[:DIGITS]


def _ignored(folder: Path) -> Callable[[str], bool]:
    from pathspec import GitIgnoreSpec

    lines: list[str] = ["*.swp", "*~", ".#*", r"\#*#", ".lein-*", ".nrepl-port", "__pycache__/"]  # \# begins no comment
    gitignore = folder / ".gitignore"
    if gitignore.is_file():
        lines += gitignore.read_text().splitlines()
    return GitIgnoreSpec.from_lines(lines).match_file


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
