"""Locks between the processes of one machine: `flock` on a file, which ends with its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.engine.steps import Cancel
from slipway.errors import Problem

POLL = 0.1  # seconds between two tries
SAID = 1.0  # seconds after which a wait is said
SHARED = (Path("/run/lock"), Path("/tmp"))  # noqa: S108  what is made there is made with care, below
STICKY = 0o1777


def user_lock_path(name: str) -> Path:
    """The file of a lock between one user's processes.

    It is in the state folder: a runtime folder is a login session's, and cron and CI would lock another file.
    """
    from platformdirs import user_state_path

    place = user_state_path("slipway")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place / f"{name}.lock"


def docker_lock_path(name: str) -> Path:
    """The file of a lock between all users of this machine's Docker.

    Whoever may write there can hold it, and so keep others waiting, who are told by whom; they can do no more, because
    nothing but a plain file with one name is opened, and its text is only shown. Without a folder that all users can
    write to it is the user's own.
    """
    shared = next((place for place in SHARED if place.is_dir() and stat.S_IMODE(place.stat().st_mode) == STICKY), None)
    return shared / f"slipway-{name}.lock" if shared else user_lock_path(name)


@contextmanager
def file_lock(path: Path, who: str, waiting: Callable[[str], None], cancel: Cancel) -> Iterator[int]:
    """Hold a lock as `who`; `waiting` hears once who else holds it. Raises Cancelled when the run is to end.

    Yields the lock's descriptor: a command that inherits it goes on holding the lock if this process is killed.
    """
    lock, tries = _opened(path), 0
    try:
        while not _taken(lock, path):
            tries += 1
            if tries == round(SAID / POLL):
                text = os.pread(lock, 200, 0).decode(errors="replace")
                waiting("".join(filter(str.isprintable, text)).strip() or "another run")
            cancel.wait(POLL)
            os.close(lock)
            lock = _opened(path)
        os.truncate(lock, 0)
        os.pwrite(lock, who.encode(), 0)
        try:
            yield lock
        finally:
            os.truncate(lock, 0)
    finally:
        os.close(lock)


def _taken(lock: int, path: Path) -> bool:
    """Whether the lock is ours now; a file that somebody has removed since it was opened locks nothing."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(lock))
    return False


def _opened(path: Path) -> int:
    """The lock's file, made once, for all users to write. Raises Problem for what is no plain file of one name.

    O_CREAT is not for a file that is there: in a sticky folder the kernel refuses it for another user's, to root too
    (fs.protected_regular, proc_sys_fs(5)).
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        try:
            lock = os.open(path, flags)
        except FileNotFoundError:
            try:
                lock = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                os.fchmod(lock, 0o666)  # whatever the umask is
            except FileExistsError:
                lock = os.open(path, flags)
        found = os.fstat(lock)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.close(lock)
            raise OSError("it is no plain file of one name")
    except OSError as error:
        raise Problem(
            f"the lock {path} can't be opened", details=str(error), hint=f"whose is it? ls -l '{path}'"
        ) from error
    return lock
