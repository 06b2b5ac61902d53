"""Locks between the processes of one user on one machine: `flock` on a file, which ends with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.steps import Cancel

POLL = 0.1  # seconds between two tries
SAID = 1.0  # seconds after which a wait is said


def folder() -> Path:
    """The runtime folder of the login session (XDG_RUNTIME_DIR), or the state folder where there is none."""
    from platformdirs import user_state_path

    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    place = Path(runtime) / "slipway" if os.access(runtime, os.W_OK) else user_state_path("slipway")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


@contextmanager
def held(name: str, who: str, waiting: Callable[[str], None], cancel: Cancel) -> Iterator[int]:
    """Hold the lock `name` as `who`; `waiting` hears once who else holds it. Raises Cancelled when the run is to end.

    Yields the lock's descriptor: a command that inherits it goes on holding the lock if this process is killed.
    """
    with (folder() / f"{name}.lock").open("a+") as file:
        tries = 0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                tries += 1
                if tries == round(SAID / POLL):
                    file.seek(0)
                    waiting(file.read().strip() or "another run")
                cancel.wait(POLL)
        file.seek(0)
        file.truncate()
        file.write(who)
        file.flush()
        yield file.fileno()
        file.seek(0)
        file.truncate()
