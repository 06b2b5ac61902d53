"""A command from its call to its exit code: errors as messages, Ctrl-C as exit code 130, old logs removed."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from invoke import Exit

from slipway.engine.events import Outcome
from slipway.errors import Cancelled, Problem, UsageError
from slipway.ui.session import Session
from tasks import exit_codes
from tasks.exit_codes import ExitCode
from tasks.hints import Hints
from tasks.invocation import Invocation
from tasks.paths import ROOT
from tasks.signals import SignalHandler

RUNS = ROOT / ".slipway" / "runs"  # logs and evidence, a folder per run
KEEP = 50  # of the newest runs
RECENT = 3600  # seconds for which an older one is kept too: it may go on
CLOSE_TIMEOUT = 2.0  # seconds that connections get to close after Ctrl-C


def execute(body: Callable[..., None], name: str, flags: dict[str, Any], own: dict[str, Any], blank: str = "") -> None:
    """Run a task's body with its `own` flags. Raises Exit where the exit code is not 0.

    `blank` names a flag that was given without a value, as an unset variable of a script leaves it: it must not mean
    what leaving the flag out would mean.
    """
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        session = Session(flags["output"], run=run, log=None if flags.get("plan") else RUNS / run)
    except Problem as problem:
        raise Exit(str(problem), code=int(exit_codes.of_problem(problem))) from problem
    try:
        if blank:
            raise UsageError(f"--{blank} is empty", hint=f"give it a value, or leave --{blank} out")
        with SignalHandler() as signals:
            _call(body, Invocation(name, session, flags, ExitStack(), signals), own)
    except Problem as problem:
        code = exit_codes.of_problem(problem)
        session.problem(Hints(flags).written(problem), code)
        raise Exit(code=int(code)) from problem
    except (Cancelled, KeyboardInterrupt):
        session.finish(Outcome.INTERRUPTED)
        raise Exit("interrupted", code=int(ExitCode.INTERRUPTED)) from None
    finally:
        session.close()
        _remove_old_runs()
        if session.write_error:
            summary = f"cannot write to standard output: {session.write_error.strerror}"
            raise Exit(summary, code=int(ExitCode.FAILED)) from session.write_error


def _call(body: Callable[..., None], invocation: Invocation, own: dict[str, Any]) -> None:
    """Call the body, then close what it opened; after Ctrl-C, only as long as CLOSE_TIMEOUT."""
    try:
        body(invocation, **own)
    except KeyboardInterrupt:
        closing = threading.Thread(target=invocation.closing.close, daemon=True)
        closing.start()
        closing.join(CLOSE_TIMEOUT)
        raise
    except BaseException:
        invocation.closing.close()
        raise
    else:
        invocation.closing.close()


def _remove_old_runs() -> None:
    for folder in sorted(RUNS.glob("*/"))[:-KEEP]:
        with contextlib.suppress(OSError):  # another process may remove it too
            if not (_is_recent(folder) or any(map(_is_recent, folder.iterdir()))):
                shutil.rmtree(folder, ignore_errors=True)


def _is_recent(path: Path) -> bool:
    return time.time() - path.stat().st_mtime <= RECENT
