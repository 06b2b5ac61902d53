"""The source digest of a service: the name of its jar, its image and its release."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from slipway.engine.steps import null_reporter
from slipway.errors import Problem, UsageError
from slipway.hosts.host import Command, Host

LENGTH = 16  # hex digits: 64 bits, enough to tell a team's sources apart
NOT_BUILT_FROM = frozenset({"target", "test", "manifests", ".git", ".lein-failures", ".nrepl-port", ".DS_Store"})
NOT_IN_IMAGE = frozenset({"service.yaml", "README.md"})


def files(folder: Path) -> Iterator[Path]:
    """The files that a build can see, sorted by name: what Git would not ignore, without tests and deployment.

    A link stands for the file that it leads to; it is a link only where it leads to a folder, or nowhere. Raises
    Problem for one to a folder outside, whose content would be in no digest.
    """
    ignored = _ignored(folder)
    for path, folders, names in os.walk(folder):
        here = Path(path)
        top = here == folder
        skip = NOT_BUILT_FROM if top else frozenset({".git"})
        base = "" if top else here.relative_to(folder).as_posix() + "/"
        links = [f for f in folders if (here / f).is_symlink()]
        folders[:] = sorted(f for f in folders if f not in skip and f not in links and not ignored(f"{base}{f}/"))
        for name in sorted([*names, *links]):
            if not (top and name in NOT_IN_IMAGE | NOT_BUILT_FROM) and not ignored(base + name):
                if name in links:
                    _stays(here / name, folder)
                if (here / name).is_file() or (here / name).is_symlink():  # sockets and pipes are no sources
                    yield here / name


def _stays(link: Path, folder: Path) -> None:
    if link.readlink().is_absolute() or not link.resolve().is_relative_to(folder.resolve()):
        summary = f"{link} leads to a folder outside {folder.name}"
        hint = "name that folder under `sources` in service.yaml, or copy it"
        raise UsageError(summary, details=f"it leads to {link.readlink()}", hint=hint)


def digest(folder: Path, settings: Iterable[str], shared: Iterable[Path] = ()) -> str:
    """The digest of what a build is made from: file names, contents and whether they are executable, and `settings`.

    `shared` are folders beside the service that its build reads too. Times, owners and the folder's own place do not
    count. The result is `LENGTH` hex digits of a sha256.
    """
    whole = hashlib.sha256()
    for setting in settings:
        whole.update(f"setting {len(setting)} {setting}\n".encode())
    for path in (path for part in (folder, *shared) for path in files(part)):
        content = path.read_bytes() if path.is_file() else str(path.readlink()).encode()
        executable = os.access(path, os.X_OK)
        name = Path(os.path.relpath(path, folder)).as_posix()
        whole.update(f"file {len(name)} {name} {executable} {len(content)}\n".encode())
        whole.update(content)
    return whole.hexdigest()[:LENGTH]


def _ignored(folder: Path) -> Callable[[str], bool]:
    from pathspec import GitIgnoreSpec

    lines: list[str] = ["*.swp", "*~", ".#*", r"\#*#", ".lein-*", ".nrepl-port", "__pycache__/"]  # \# begins no comment
    own = folder / ".gitignore"
    if own.is_file():
        lines += own.read_text().splitlines()
    return GitIgnoreSpec.from_lines(lines).match_file


def commit(host: Host, root: Path) -> str:
    """The Git commit of a checkout, with `-dirty` for uncommitted changes; empty outside Git, and without Git.

    Read off `git status --porcelain=v2 --branch`, whose lines without a # are changes (git-status(1)).
    """
    words = ("git", "-C", str(root), "status", "--porcelain=v2", "--branch")
    try:
        done = host.run(Command(words, timeout=60), null_reporter())
    except Problem:  # there is no Git here
        return ""
    found = re.search(r"^# branch.oid ([0-9a-f]{12})", done.text, re.MULTILINE)
    if done.exit_code or not found:
        return ""
    return found[1] + ("-dirty" if re.search(r"^[^#]", done.text, re.MULTILINE) else "")
