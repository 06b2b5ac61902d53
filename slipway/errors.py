"""The one error that Slipway raises on purpose: what happened, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell sees. 130 is 128 + SIGINT."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CHANGES = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


class Problem(Exception):
    """Something the user can understand and act on.

    `summary` is one line: the thing and what is wrong with it. `details` is the evidence, as many lines as it takes.
    `hint` is advice or the exact next command. `code` is the exit code if nothing worse happens.
    """

    def __init__(self, summary: str, *, details: str = "", hint: str = "", code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = details
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        parts = [self.summary]
        if self.details:
            parts.append(self.details.rstrip())
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


def untrusted(whose: str, details: str) -> Problem:
    """The certificate of `whose` is not trusted here: it is a proxy's, with a certificate authority of its own."""
    hint = (
        "is there a proxy with its own certificate authority? put that one's certificate into "
        "/usr/local/share/ca-certificates/NAME.crt, run update-ca-certificates, then the same command again"
    )
    return Problem(
        f"{whose}: its certificate is not trusted here", details=details, hint=hint, code=ExitCode.UNREACHABLE
    )


def unknown(kind: str, names: Sequence[str], known: Collection[str]) -> Problem:
    """Nothing of that kind has these names: which there are, and which one was probably meant."""
    from difflib import get_close_matches

    meant = [one for name in names for one in get_close_matches(name, known, 1)]
    guess = f"did you mean {', '.join(meant)}? " if meant else ""
    hint = f"{guess}there are: {', '.join(sorted(known)) or 'none'}"
    return Problem(f"no {kind} is called {', '.join(names)}", hint=hint, code=ExitCode.USAGE)


class ConnectionLost(Problem):
    """The link to a machine or its daemon broke: whether what was asked for was done must be asked anew.

    `code` is `FAILED` behind a deed that is known to have changed something.
    """

    def __init__(
        self, summary: str, *, details: str = "", hint: str = "", code: ExitCode = ExitCode.UNREACHABLE
    ) -> None:
        super().__init__(summary, details=details, hint=hint, code=code)


@contextmanager
def behind_a_change() -> Iterator[None]:
    """What fails in here has changed something: it never ends as if only something had been unreachable."""
    try:
        yield
    except Problem as problem:
        if problem.code is ExitCode.UNREACHABLE:
            problem.code = ExitCode.FAILED
        raise


class Cancelled(Exception):
    """The run was interrupted (Ctrl-C, SIGTERM); what was under way has ended."""
