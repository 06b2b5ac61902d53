"""The seam to a machine: run a command, put and get a file, open a tunnel. `local` and `ssh` are the real ones."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from slipway.errors import Problem
from slipway.steps import Lane, Probe, Say

if TYPE_CHECKING:
    from slipway.hosts.facts import Facts


class Privilege(StrEnum):
    """As whom a command runs."""

    USER = "user"
    ROOT = "root"


@dataclass(frozen=True)
class Command:
    """A command as data: pure functions make them, a host runs them. Secrets go into `stdin` or `env`, never `argv`."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    privilege: Privilege = Privilege.USER
    timeout: float = 600.0  # seconds until the command is ended
    idle: float | None = None  # seconds without output until the command is ended
    inherits: tuple[int, ...] = ()  # descriptors of this process (a lock's), on this machine only

    @property
    def line(self) -> str:
        """The command as a person would type it."""
        return shlex.join(self.argv)


@dataclass(frozen=True)
class Done:
    """What a command answered."""

    command: Command
    exit: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")

    def checked(self, what: str, fix: str = "") -> Done:
        """Itself if the command succeeded; otherwise raises Problem with its standard error as the evidence."""
        if self.exit == 0:
            return self
        noise = (self.stderr or self.stdout).decode(errors="replace").strip().splitlines()[-30:]
        evidence = "\n".join((f"$ {self.command.line}", *noise, f"exit code {self.exit}"))
        raise Problem(what, why=evidence, fix=fix)


class Host(Protocol):
    """One machine. `packages` is its package manager's lane; `probe` reads its facts, once until something changes."""

    name: str
    packages: Lane
    probe: Probe[Facts]

    def run(self, command: Command, say: Say) -> Done:
        """Run to the end, output lines going to `say`. The whole process group ends when the run is cancelled.

        Raises Problem when the command cannot be started or outlives its timeout, Cancelled when the run ends.
        """

    def put(self, content: bytes, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """Write a file whole or not at all (a temporary beside it, then a rename)."""

    def get(self, path: str, say: Say) -> bytes:
        """Read a file. Raises Problem if it is not there or not readable."""

    def forward(self, socket: str) -> AbstractContextManager[str]:
        """A local path to a Unix socket of that machine, for as long as the context lasts."""


def script(text: str, *, privilege: Privilege = Privilege.USER, timeout: float = 600.0) -> Command:
    """A POSIX sh script, given on standard input, so that its length and quotes do not matter."""
    return Command(("sh", "-s"), stdin=text.encode(), privilege=privilege, timeout=timeout)
