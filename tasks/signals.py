"""A command from its call to its exit code: every error in words, Ctrl-C obeyed, old logs forgotten."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from invoke import Exit

from slipway.engine.events import Outcome
from slipway.engine.steps import Cancel
from slipway.errors import Cancelled, Problem, UsageError
from slipway.ui.session import Session
from tasks import exit_codes
from tasks.exit_codes import ExitCode
from tasks.invocation import ROOT, Invocation

RUNS = 50  # logs and evidence of the newest runs that are kept
LEAVE = 2.0  # seconds that connections get to close behind Ctrl-C
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Guard:
    """What Ctrl-C does. A run is asked to end, once; everything else, and a run that was asked before, ends at once."""

    def __init__(self) -> None:
        self.cancel = Cancel()
        self._runs = False
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def running(self) -> Iterator[None]:
        """While a run is under way, which ends by itself when it is asked to."""
        self._runs = True
        try:
            yield
        finally:
            self._runs = False

    def _ask(self, *_: object) -> None:
        again, self._asked = self._asked, True
        threading.Thread(target=self.cancel.request, daemon=True).start()  # never in a signal handler: it takes locks
        if again or not self._runs:
            raise KeyboardInterrupt


def guarded(body: Callable[..., None], name: str, flags: dict[str, Any], own: dict[str, Any], blank: str = "") -> None:
    """Run a task's body; every error becomes words and an exit code, and Ctrl-C ends what runs.

    `blank` names a flag that was given and says nothing, as an unset variable of a script leaves it: it must not mean
    all that the flag left out would mean.
    """
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        session = Session(flags["output"], run=run, log=None if flags.get("plan") else ROOT / ".slipway" / "runs" / run)
    except Problem as problem:
        raise Exit(str(problem), code=int(exit_codes.of_problem(problem))) from problem
    try:
        if blank:
            raise UsageError(f"--{blank} is empty", hint=f"name something, or leave --{blank} out")
        with Guard() as guard:
            _done(body, Invocation(name, session, flags, ExitStack(), guard), own)
    except Problem as problem:
        code = exit_codes.of_problem(problem)
        session.problem(problem, code)
        raise Exit(code=int(code)) from problem
    except (Cancelled, KeyboardInterrupt):
        session.finish(Outcome.INTERRUPTED)
        raise Exit("interrupted", code=int(ExitCode.INTERRUPTED)) from None
    finally:
        session.close()
        _forget_old()
        if session.write_error:
            summary = f"standard output takes nothing more: {session.write_error.strerror}"
            raise Exit(summary, code=int(ExitCode.FAILED)) from session.write_error


def _done(body: Callable[..., None], command: Invocation, own: dict[str, Any]) -> None:
    """Do it, and close what it opened; behind Ctrl-C nobody waits for what does not close."""
    close = command.closing.close
    try:
        body(command, **own)
    except KeyboardInterrupt:
        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        close = lambda: closing.join(LEAVE)  # noqa: E731
        raise
    finally:
        close()


def _forget_old() -> None:
    with contextlib.suppress(OSError):
        folders = sorted((ROOT / ".slipway" / "runs").iterdir())
        for folder in folders[:-RUNS]:
            shutil.rmtree(folder, ignore_errors=True)
