"""Locks between the processes of one machine: `flock` on a file, which the kernel releases when its holder ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.engine.cancellation import Cancel
from slipway.errors import Problem

POLL_INTERVAL = 0.1  # seconds between two attempts
REPORT_AFTER = 1.0  # seconds of waiting after which it is reported
SHARED_FOLDERS = (Path("/run/lock"), Path("/tmp"))  # noqa: S108  files there are created safely, below
STICKY = 0o1777


def user_lock_path(name: str) -> Path:
    """The file of a lock between the processes of one user.

    It is in the user's state folder: a runtime folder belongs to a login session, so cron and CI would use another.
    """
    from platformdirs import user_state_path

    folder = user_state_path("slipway")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{name}.lock"


def docker_lock_path(name: str) -> Path:
    """The file of a lock between all users of this machine's Docker.

    Any user can hold it and so make others wait, who are told for whom; they can do no more, because only a regular
    file with one link is opened, and its text is only displayed. Without a folder that all users can write to, it is
    the user's own lock.
    """
    shared = next((folder for folder in SHARED_FOLDERS if _is_sticky(folder)), None)
    return shared / f"slipway-{name}.lock" if shared else user_lock_path(name)


def _is_sticky(folder: Path) -> bool:
    return folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) == STICKY


@contextmanager
def file_lock(path: Path, owner: str, on_wait: Callable[[str], None], cancel: Cancel) -> Iterator[int]:
    """Hold a lock as `owner`; `on_wait` is called once with the owner that is waited for. Raises Cancelled.

    Yields the lock's descriptor: a command that inherits it keeps holding the lock if this process is killed.
    """
    lock, attempts = _opened(path), 0
    try:
        while not _acquired(lock, path):
            attempts += 1
            if attempts == round(REPORT_AFTER / POLL_INTERVAL):
                text = os.pread(lock, 200, 0).decode(errors="replace")
                on_wait("".join(filter(str.isprintable, text)).strip() or "another run")
            cancel.wait(POLL_INTERVAL)
            reopened = _opened(path)  # first: were it to fail behind close(), `finally` would close another's file
            os.close(lock)
            lock = reopened
        os.truncate(lock, 0)
        os.pwrite(lock, owner.encode(), 0)
        try:
            yield lock
        finally:
            os.truncate(lock, 0)
    finally:
        os.close(lock)


def _acquired(lock: int, path: Path) -> bool:
    """Whether the lock is held now; a file that was removed since it was opened locks nothing."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.lstat(), os.fstat(lock))
    return False


def _opened(path: Path) -> int:
    """The lock's file, created once and writable for all users. Raises Problem if it is no regular file with one link.

    O_CREAT is not used for an existing file: in a sticky folder the kernel refuses it for another user's, even to root
    (fs.protected_regular, proc_sys_fs(5)).
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        try:
            lock = os.open(path, flags)
        except FileNotFoundError:
            try:
                lock = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
                os.fchmod(lock, 0o666)  # regardless of the umask
            except FileExistsError:
                lock = os.open(path, flags)
        found = os.fstat(lock)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.close(lock)
            raise OSError("not a regular file with one link")
    except OSError as error:
        raise Problem(
            f"the lock {path} can't be opened", details=str(error), hint=f"ls -l '{path}' shows its owner"
        ) from error
    return lock
