"""OpenSSH's programs, which are asked what its files mean, and the home folder in which they look for those."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from slipway.config import paths
from slipway.config.host_secrets import without_host_secrets
from slipway.engine.cancellation import Cancel

TIMEOUT = 30  # seconds for an answer: `Match exec` runs commands, names are resolved, a disk may be slow
MISSING = (
    "ssh and ssh-keygen can't be run (not installed, or this user is not in /etc/passwd): "
    "paramiko reads ~/.ssh/config, and does not know all of its keywords"
)


def installed() -> bool:
    """Whether OpenSSH's programs can be asked. They refuse to run for a user who has no entry in /etc/passwd."""
    return _passwd_home() is not None and shutil.which("ssh") is not None and shutil.which("ssh-keygen") is not None


def home_folder() -> Path:
    """What ~ is in ssh's files: the home folder in /etc/passwd, whatever $HOME says (tilde_expand in misc.c)."""
    return _passwd_home() or Path.home()


def _passwd_home() -> Path | None:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def expand_user(text: str) -> Path:
    """A path from ssh's files with a leading ~ or ~user expanded."""
    if text == "~" or text.startswith("~/"):
        return home_folder() / text[2:]
    return paths.expand_user(text)


def run(
    *argv: str, cancel: Cancel, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a program answers. Raises TimeoutError if it does not, Cancelled if the run ends meanwhile."""
    cancel.check()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        errors="replace",
        env=without_host_secrets(os.environ if env is None else env),
        start_new_session=True,  # Ctrl-C is this process's
    )
    unregister = cancel.on_request(partial(_kill, process))
    try:
        output, errors = process.communicate(stdin, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        _kill(process)  # perhaps it has ended, and what it started has not
        raise TimeoutError(f"{argv[0]} produced no answer for {TIMEOUT} s") from None
    finally:
        unregister()
        if process.poll() is None:
            end(process)
    cancel.check()
    return subprocess.CompletedProcess(argv, process.returncode, output, errors)


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a program that leads a session of its own, with all that it started, and wait for it."""
    _kill(process)
    process.wait()


def _kill(process: subprocess.Popen[Any]) -> None:
    """End a program and the commands that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
