"""A jar without Leiningen, where only sources have changed since it made the last one: compiled and packed as it did.

The jar is byte for byte what `lein uberjar` would make, but for the times of its entries. Wherever something is not as
it was when Leiningen ran, or anything fails, there is none, and Leiningen is what builds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from slipway.config.host_secrets import without_host_secrets
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts import locks
from slipway.hosts.host import Command
from slipway.images import compiler, uberjar
from slipway.images.compiler import Compilation
from slipway.images.jar import require_intact
from slipway.images.leiningen_recipe import Recipe, beside_namespaces, key, read_account

# What a file that is gone, not JSON, or not a jar raises, or a lock that can't be opened: then there is no jar.
FAULTS = (Problem, OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile)
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Known:
    """The last build: its command, the recipe and its key, the uberjar as it was left, and its parts."""

    argv: tuple[str, ...]
    recipe: Recipe
    key: str
    jar: str
    stamp: Stamp
    parts: uberjar.Parts


def record(folder: Path, command: Command, account: Path, jar: Path) -> None:
    """Keep Leiningen's account of the build that has just made this uberjar; forget it if it is not understood."""
    path = _state(folder)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    with contextlib.suppress(*FAULTS):
        recipe = read_account(account)
        if recipe is None or not sys.platform.startswith("linux"):
            return
        recipe = _only_what_was_added(recipe, _environment(command))
        dependencies = [Path(one) for one in recipe.all("dependency") if one.endswith(".jar")]
        parts = uberjar.parts(jar, Path(recipe.only("thin")), dependencies)
        if parts:
            found = key(recipe, command.argv, _environment(command))
            _write(path, Known(command.argv, recipe, found, str(jar), _stamp(jar), parts))


def build(folder: Path, commands: Sequence[Command], report: Reporter) -> Path | None:
    """The uberjar that the last of these commands would make again; None where Leiningen must be asked.

    Raises Cancelled.
    """
    with contextlib.suppress(*FAULTS):
        known = _read(_state(folder))
        command = _last(commands, known)
        if known.key != key(known.recipe, command.argv, _environment(command)) or known.stamp != _stamp(
            Path(known.jar)
        ):
            return None
        report.note("only sources changed since Leiningen built it: compiled without it, in the same way")
        with compiler.compiled(_compilation(known, command), report) as own:
            if own:
                require_intact(own)  # what it has of others was, when Leiningen made it
                return _replaced(folder, known, own)
    return None


def keep_warm(folder: Path, commands: Sequence[Command]) -> None:
    """Have a compiler ready for the next change of the sources, where `build` could use one; not on a CI machine."""
    if os.environ.get("CI"):
        return
    with contextlib.suppress(*FAULTS):
        known = _read(_state(folder))
        compiler.keep_warm(_compilation(known, _last(commands, known)))


def _last(commands: Sequence[Command], known: Known) -> Command:
    """The command of the last build. Raises IndexError if it is none of these."""
    return [command for command in commands if command.argv == known.argv][0]  # noqa: RUF015  IndexError, see above


def _replaced(folder: Path, known: Known, own: Path) -> Path | None:
    """The uberjar with these entries of the project, in place of the last one."""
    jar = Path(known.jar)
    handle, temporary = tempfile.mkstemp(dir=jar.parent, prefix=".slipway-")
    os.close(handle)
    try:
        parts = uberjar.replace_own(jar, known.parts, own, Path(temporary))
        if parts is None:
            return None
        Path(temporary).chmod(jar.stat().st_mode & 0o777)
        Path(temporary).replace(jar)
    finally:
        Path(temporary).unlink(missing_ok=True)
    _write(_state(folder), replace(known, stamp=_stamp(jar), parts=parts))
    return jar


def _compilation(known: Known, command: Command) -> Compilation:
    purpose = hashlib.sha256(f"{known.key} {beside_namespaces(known.recipe)}".encode()).hexdigest()
    added = dict(one.split("=", 1) for one in known.recipe.all("variable"))
    return Compilation(known.recipe, _environment(command) | added, purpose)


def _environment(command: Command) -> dict[str, str]:
    """The variables that the command is run with here (hosts/local.py)."""
    inherited = {name: value for name, value in without_host_secrets(os.environ).items() if name not in command.unset}
    return {**inherited, **(command.env or {})}


def _only_what_was_added(recipe: Recipe, given: dict[str, str]) -> Recipe:
    """The recipe with those variables of the compiler that Leiningen itself has set: no others are kept on disk."""
    own = {f"{name}={value}" for name, value in given.items()}
    return Recipe(tuple(line for line in recipe.lines if line[0] != "variable" or line[1] not in own))


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _state(folder: Path) -> Path:
    """The file of a project, in a folder that only this user can read."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return locks.user_lock_path(f"leiningen-{name}").with_suffix(".json")


def _write(path: Path, known: Known) -> None:
    text = json.dumps({**asdict(known), "parts": [known.parts.own, sorted(known.parts.hidden)]})
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".slipway-")  # made with mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


def _read(path: Path) -> Known:
    """What is kept. Raises OSError, ValueError, KeyError or TypeError if there is nothing of use."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    recipe = Recipe(tuple((str(kind), str(value)) for kind, value in kept["recipe"]["lines"]))
    own, hidden = kept["parts"]
    parts = uberjar.Parts(int(own), frozenset(map(str, hidden)))
    size, modified, inode = map(int, kept["stamp"])
    return Known(tuple(kept["argv"]), recipe, str(kept["key"]), str(kept["jar"]), (size, modified, inode), parts)
