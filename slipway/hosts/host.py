"""The seam to a machine: run a command, put and get a file, open a tunnel. `local` and `ssh` are the real ones."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from slipway.engine.steps import Probe, Reporter, ResourceLimit
from slipway.errors import Problem

if TYPE_CHECKING:
    from slipway.hosts.facts import Facts


THIS_MACHINE = "this machine"
NO_PROXY = "localhost,127.0.0.1,192.168.49.0/24,10.96.0.0/12,10.244.0.0/16,.svc,.cluster.local"  # never by a proxy


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
    pass_fds: tuple[int, ...] = ()  # descriptors of this process (a lock's), on this machine only
    resumable: bool = False  # elsewhere it goes on when the connection ends; who asks for it again follows it

    @property
    def line(self) -> str:
        """The command as a person would type it."""
        return shlex.join(self.argv)


@dataclass(frozen=True)
class Result:
    """What a command answered."""

    command: Command
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")

    def raise_for_status(self, summary: str, hint: str = "") -> Result:
        """Itself if the command succeeded; otherwise raises Problem with its standard error as the evidence."""
        if self.exit_code == 0:
            return self
        noise = (self.stderr or self.stdout).decode(errors="replace").strip().splitlines()[-30:]
        evidence = "\n".join((f"$ {self.command.line}", *noise, f"exit code {self.exit_code}"))
        raise Problem(summary, details=evidence, hint=hint)


class Stream(Protocol):
    """An open conversation: a socket, or a channel that is used like one."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


class Host(Protocol):
    """One machine. `packages` is its package manager's lane; `probe` reads its facts, once until something changes."""

    name: str
    packages: ResourceLimit
    probe: Probe[Facts]

    def run(self, command: Command, report: Reporter) -> Result:
        """Run to the end, output lines going to `say`. The whole process group ends when the run is cancelled.

        Raises Problem when the command cannot be started or outlives its timeout, Cancelled when the run ends.
        """

    def write_file(self, content: bytes, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """Write a file whole or not at all (a temporary beside it, then a rename)."""

    def upload(self, source: Path, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """The same with a file of this machine, unless that is there already; goes on where it broke, with progress."""

    def temporary_upload(self, source: Path, report: Reporter) -> AbstractContextManager[str]:
        """The path on that machine of a file of this one, for as long as the context lasts."""

    def read_file(self, path: str, report: Reporter) -> bytes:
        """Read a file. Raises Problem if it is not there or not readable."""

    def forward_socket(self, target: str) -> AbstractContextManager[str]:
        """A local path to a Unix socket of that machine, for as long as the context lasts."""

    def open_tcp(self, address: str, port: int) -> Stream:
        """A conversation with a TCP address as that machine reaches it. Raises Problem when nobody answers."""


def step_prefix(host: Host) -> str:
    """What the ids of a host's steps begin with."""
    return host.name.replace(" ", "-")


def step_title(host: Host, text: str) -> str:
    """A step's title, with the host's name where it is not this machine."""
    return text if host.name == THIS_MACHINE else f"{host.name}: {text}"


def script(text: str, *, privilege: Privilege = Privilege.USER, timeout: float = 600.0) -> Command:
    """A POSIX sh script, given on standard input, so that its length and quotes do not matter."""
    return Command(("sh", "-s"), stdin=text.encode(), privilege=privilege, timeout=timeout)
