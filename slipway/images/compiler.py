"""A JVM that compiles a project as Leiningen's does, and has compiled others' code when it is needed (`compiler.clj`).

It compiles once and ends. At most one waits per machine and user: for the project that was compiled last. Only this
user can reach it: its socket is in a folder of mode 0700, and either side asks the kernel who the other is. It ends by
itself when nobody comes for half an hour, when its folder is gone, when memory is short, and when its client is gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slipway.engine.reporter import Reporter, null_reporter
from slipway.hosts import locks
from slipway.images.leiningen_recipe import Recipe, edn, packing

CODE = Path(__file__).with_suffix(".clj")
MEMORY = "-Xmx512m"  # before the project's own options, which may say otherwise
START_TIMEOUT = 20.0  # seconds until it listens
TIMEOUT = 600.0  # seconds without an answer, as with Leiningen
# Runs "$@" as nobody's child, its output in $0: it outlives this process.
DETACHED = 'exec </dev/null >"$0" 2>&1; "$@" &'
# Before all else: the counter that names classes, as it is when Clojure has loaded what checks its macros.
FIRST = (
    '(java.lang.System/setProperty "slipway.first" (clojure.core/str (clojure.core/second (quote '
    '[#=(clojure.core/macroexpand-1 (clojure.core/when nil)) #=(clojure.core/gensym "")]))))'
)


@dataclass(frozen=True)
class Compilation:
    """What a compiler is for. `purpose` is the digest of all that others' code could have read."""

    recipe: Recipe
    environment: Mapping[str, str]
    purpose: str


@contextmanager
def compiled(what: Compilation, report: Reporter) -> Iterator[Path | None]:
    """The jar of the project's own entries, as long as the context; None if it was not made, whatever the reason."""
    with contextlib.ExitStack() as closing:
        folder, connection = _taken(what.purpose) or _new(what, report)
        closing.callback(_remove, folder)
        answer = _answer(connection, report) if connection else ""
        _repeat(folder / "log", report)
        report.cancel.check()
        if answer.startswith("unclear "):
            report.note(f"Leiningen has to build it, because of {answer.removeprefix('unclear ').strip()}")
        yield folder / "own.jar" if answer == "done\n" else None


def keep_warm(what: Compilation) -> None:
    """Have a compiler ready for the next time, in place of the one that is."""
    with _alone() as pointer:
        _end(pointer)
        folder = _started(what)
        pointer.write_text(f"{what.purpose}\n{folder}\n")


def end() -> None:
    """End the compiler that waits, if there is one."""
    with _alone() as pointer:
        _end(pointer)


# The one that waits


@contextmanager
def _alone() -> Iterator[Path]:
    """The file that names the one that waits: its purpose and its folder. Nobody else reads or writes it meanwhile."""
    path = locks.user_lock_path("compiler")
    report = null_reporter()
    with locks.file_lock(path, "a build that starts a compiler", report.note, report.cancel):
        yield path.with_suffix(".txt")


def _taken(purpose: str) -> tuple[Path, socket.socket] | None:
    """The compiler that waits for this, which is the caller's from now on: its folder, and a connection to it."""
    with _alone() as pointer:
        known, folder = _named(pointer)
        if folder is None or known != purpose:
            return None
        connection = connected(folder)
        if connection is None:
            _end(pointer)
            return None
        pointer.unlink()
        return folder, connection


def _named(pointer: Path) -> tuple[str, Path | None]:
    with contextlib.suppress(OSError, ValueError):
        purpose, folder = pointer.read_text(encoding="utf-8").splitlines()
        return purpose, Path(folder)
    return "", None


def _end(pointer: Path) -> None:
    """End the compiler that waits. One that does not listen yet finds that its folder is gone."""
    _, folder = _named(pointer)
    pointer.unlink(missing_ok=True)
    if folder is None or not _is_private(folder):
        return
    if connection := connected(folder):
        with connection:
            process = _peer(connection)[0]
            if process > 1:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
    _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a compiler's folder; under another name, so that none begins to listen in it meanwhile."""
    with contextlib.suppress(OSError):
        folder = folder.rename(folder.with_name(f"{folder.name}.gone"))
    shutil.rmtree(folder, ignore_errors=True)


# A connection


def connected(folder: Path) -> socket.socket | None:
    """A connection to the compiler in a folder; None if there is none, or it may be somebody else's."""
    if not _is_private(folder):
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(folder / "socket"))
        if _peer(connection)[1] == os.getuid():
            return connection
    except OSError:
        pass
    connection.close()
    return None


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700


def _peer(connection: socket.socket) -> tuple[int, int]:
    """The process and the user that listen, as the kernel knows them (SO_PEERCRED in unix(7))."""
    process, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return process, user


def _answer(connection: socket.socket, report: Reporter) -> str:
    """The line that the compiler says when it is done; empty if it ends without one. A cancelled run ends it.

    Its end is not waited for: a JVM stops for 0.3 s where a thread of it is in a system call, as its client's is.
    """
    answer = b""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(TIMEOUT)
        unregister = report.cancel.on_request(lambda: connection.shutdown(socket.SHUT_RDWR))
        try:
            while not answer.endswith(b"\n") and (data := connection.recv(4096)):
                answer += data
        finally:
            unregister()
    return answer.decode(errors="replace")


def _repeat(log: Path, report: Reporter) -> None:
    with contextlib.suppress(OSError):
        for line in log.read_text(errors="replace").splitlines():
            report.output("stderr", line)


# A new one


def _new(what: Compilation, report: Reporter) -> tuple[Path, socket.socket | None]:
    """A compiler that was not there before: its folder, and a connection if it listens in time."""
    alive, inherited = os.pipe()
    try:
        folder = _started(what, inherited)
    finally:
        os.close(inherited)
    with os.fdopen(alive, "rb") as end_of_file:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if connection := connected(folder):
                return folder, connection
            if select.select([end_of_file], [], [], 0.02)[0] or report.cancel.requested:
                break
    return folder, None


def _started(what: Compilation, inherited: int | None = None) -> Path:
    """The folder of a compiler that starts now and keeps a descriptor as long as it runs."""
    recipe = what.recipe
    folder = Path(tempfile.mkdtemp(prefix="slipway-"))  # made with mode 0700
    classes = folder / "classes"
    classes.mkdir()
    for path, content in recipe.contents("seed"):
        (classes / path).parent.mkdir(parents=True, exist_ok=True)
        (classes / path).write_bytes(b64decode(content))
    (folder / "recipe.edn").write_text(packing(recipe, classes), encoding="utf-8")
    (folder / "init.clj").write_text(_code(recipe, folder), encoding="utf-8")
    java, *words = (word.replace(recipe.only("classes"), str(classes)) for word in recipe.all("word"))
    subprocess.run(
        ["sh", "-c", DETACHED, str(folder / "log"), java, MEMORY, *words, str(folder / "init.clj")],
        cwd=recipe.only("root"),
        env=dict(what.environment),
        check=False,
        start_new_session=True,
        pass_fds=() if inherited is None else (inherited,),
    )
    return folder


def _code(recipe: Recipe, folder: Path) -> str:
    """Leiningen's code between what makes it wait and what says that it has come to its end."""
    first = '(java.lang.Integer/parseInt (java.lang.System/getProperty "slipway.first"))'
    lines = (
        FIRST,
        f"(clojure.core/load-file {edn(str(CODE))})",
        f"(slipway.compiler/arm {edn(str(folder))} {first})",
        recipe.only("run"),
        '(java.lang.System/setProperty "slipway.compiled" "yes")',
        "(java.lang.System/exit 0)\n",
    )
    return "\n".join(lines)
