"""The files that Git would not ignore, as Git itself lists them."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from slipway.errors import UsageError

ListFiles = Callable[..., list[list[str]]]  # as `unignored_files` does

TIMEOUT = 120  # seconds: a large checkout on a network's disk
# An owner other than this user is no reason not to read ignore rules; nothing that a repository names is run for it.
GIT = ("git", "--literal-pathspecs", "-c", "safe.directory=*", "-c", "core.fsmonitor=false")
LIST = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
NO_REPOSITORY = b"not a git repository"  # its words where it speaks English
REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")  # set while a hook runs


def unignored_files(*folders: Path) -> list[list[str]]:
    """For each folder, the files and links in it that Git would not ignore, by their paths from it; unsorted.

    Tracked files are among them, whatever the rules say. Git is asked once, where the folders are in one repository.
    Outside a repository, without Git, and in a folder that is ignored as a whole, the rules are those of the folder's
    own .gitignore. Raises UsageError where Git can't read the repository.
    """
    together = _ask_git(folders) if len(folders) > 1 else None
    return together or [_unignored(folder) for folder in folders]


class UnignoredFiles:
    """What `unignored_files` says of folders, each asked for once: the first alone, all others with the second."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._left, self._known = set(folders), dict[Path, list[str]]()
        self._lock = threading.Lock()

    def __call__(self, *folders: Path) -> list[list[str]]:
        """For each folder, its files and links; see `unignored_files`."""
        with self._lock:
            if self._known and not self._known.keys() >= set(folders):
                self._ask_for_all()
            if missing := [one for one in folders if one not in self._known]:
                self._ask(missing)
            return [self._known[folder] for folder in folders]

    def _ask_for_all(self) -> None:
        if left := [one for one in self._left if one.is_dir()]:
            with contextlib.suppress(UsageError):  # told to whoever asks for that folder
                self._ask(left)
        self._left.clear()

    def _ask(self, folders: Sequence[Path]) -> None:
        self._known |= zip(folders, unignored_files(*folders), strict=True)
        self._left -= set(folders)


def _unignored(folder: Path) -> list[str]:
    listed = _ask_git([folder])
    return listed[0] if listed and listed[0] else list(_without_git(folder))


def _ask_git(folders: Sequence[Path]) -> list[list[str]] | None:
    """What Git lists per folder, or None where they are not all in one repository or there is no Git."""
    first, *rest = resolved = [folder.resolve() for folder in folders]  # as Git has them
    where = (".", *(os.path.relpath(folder, first) for folder in rest))
    argv = (*GIT, "-C", str(first), *LIST, "--", *where)
    env = {name: value for name, value in os.environ.items() if name not in REPOSITORY} | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            start_new_session=True,  # Ctrl-C is this process's
        )
    except FileNotFoundError:
        return None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"Git can't list the files of {first}", details=str(error)) from error
    if done.returncode:
        if len(folders) > 1 or NO_REPOSITORY in done.stderr:
            return None
        details = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"Git can't list the files of {first}", details=details, hint=f"cd {first} && git status")
    paths = {os.path.normpath(f"{first}/{os.fsdecode(name)}") for name in done.stdout.split(b"\0") if name}
    found = []
    for folder in resolved:
        within = f"{folder}/"
        mine = (path.removeprefix(within) for path in paths if path.startswith(within))
        found.append([file for name in mine for file in _present(folder, name)])
    return found if len(folders) == 1 or all(found) else None


def _present(folder: Path, name: str) -> Iterator[str]:
    """The files behind a name that Git lists: itself, none if it is deleted, or those of a repository within."""
    path = f"{folder}/{name}"
    try:
        kind = os.lstat(path).st_mode
    except OSError:
        return
    if stat.S_ISREG(kind) or stat.S_ISLNK(kind):
        yield name
    elif (inside := Path(path, ".git")).exists():
        yield from (f"{name}/{inner}" for inner in _unignored(inside.parent))


def _without_git(folder: Path) -> Iterator[str]:
    ignored = _rules(folder / ".gitignore")
    for path, folders, names in os.walk(folder):
        base = "" if path == str(folder) else f"{os.path.relpath(path, folder)}/"
        links = [name for name in folders if (Path(path) / name).is_symlink()]
        folders[:] = [f for f in folders if f != ".git" and f not in links and not ignored(f"{base}{f}/")]
        for name in (*names, *links):
            here = Path(path) / name
            if not ignored(base + name) and (here.is_file() or here.is_symlink()):  # no sockets or pipes
                yield base + name


def _rules(gitignore: Path) -> Callable[[str], bool]:
    """The rules of a file that need not exist. A line that is no pattern has no effect, as with Git."""
    from pathspec import GitIgnoreSpec  # here, since most projects are in a repository

    content = gitignore.read_bytes().removeprefix(codecs.BOM_UTF8) if gitignore.is_file() else b""
    lines = []
    for line in os.fsdecode(content).splitlines():
        with contextlib.suppress(ValueError, re.error):
            GitIgnoreSpec.from_lines([line])
            lines.append(line)
    return GitIgnoreSpec.from_lines(lines).match_file
