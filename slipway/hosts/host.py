"""The protocol of a machine: run a command, write and read files, connect to its sockets.

`local`, `ssh.host` and `fake` implement it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from slipway.engine.limits import ResourceLimit
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Probe
from slipway.errors import Problem

if TYPE_CHECKING:
    from slipway.hosts.facts import Facts


THIS_MACHINE = "this machine"
NO_PROXY = "localhost,127.0.0.1,192.168.49.0/24,10.96.0.0/12,10.244.0.0/16,.svc,.cluster.local"  # not proxied


class Privilege(StrEnum):
    """The user that a command runs as."""

    USER = "user"
    ROOT = "root"


@dataclass
class ForwardedSocket:
    """A socket of this machine that leads to one of a host; `problem` is why the last connection to that failed."""

    path: str
    problem: Problem | None = None


@dataclass(frozen=True)
class Command:
    """A command as data: pure functions make it, a host runs it. Secrets belong in `stdin` or `env`, never in `argv`.

    `timeout` and `idle` are seconds after which it is stopped: from its start, and without input or output.
    `pass_fds` are descriptors of this process that it inherits (a lock's), and `unset` variables that it does not
    inherit, both on this machine only. Over SSH, a `resumable` command continues when the connection ends, and running
    the same command again attaches to it.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    privilege: Privilege = Privilege.USER
    timeout: float = 600.0
    idle: float | None = None
    pass_fds: tuple[int, ...] = ()
    unset: tuple[str, ...] = ()
    resumable: bool = False

    @property
    def line(self) -> str:
        """The command as a person would type it."""
        return shlex.join(self.argv)


@dataclass(frozen=True)
class Result:
    """The exit code and the whole output of a command; a negative code is a signal's, as with `subprocess`."""

    command: Command
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")

    def raise_for_status(self, summary: str, hint: str = "") -> Result:
        """Return the result itself if the exit code is 0; otherwise raise Problem.

        Its details are the command, the last 30 lines of standard error (or output), and the exit code.
        """
        if self.exit_code == 0:
            return self
        last_lines = (self.stderr or self.stdout).decode(errors="replace").strip().splitlines()[-30:]
        details = "\n".join((f"$ {self.command.line}", *last_lines, f"exit code {self.exit_code}"))
        raise Problem(summary, details=details, hint=hint)


class Stream(Protocol):
    """An open connection: a socket, or an SSH channel that is used like one."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


class Host(Protocol):
    """A machine.

    `packages` allows one command of its package manager at a time; `probe` reads its facts, once until they are
    forgotten.
    """

    name: str
    packages: ResourceLimit
    probe: Probe[Facts]

    def run(self, command: Command, report: Reporter) -> Result:
        """Run to the end, reporting lines of output. The whole process group is stopped when the run is cancelled.

        Raises Problem when the command cannot be started or exceeds `timeout` or `idle`, Cancelled, or ConnectionLost
        when it is unknown whether the command has ended.
        """

    def write_file(self, content: bytes, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """Write a file atomically (a temporary file beside it, then a rename). Raises Problem."""

    def upload(self, source: Path, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """Copy a file of this machine, unless it is there already; continues a broken upload, and reports progress."""

    def temporary_upload(self, source: Path, report: Reporter) -> AbstractContextManager[str]:
        """The path on that machine of a copy of a file of this one, which exists as long as the context."""

    def read_file(self, path: str, report: Reporter) -> bytes:
        """Read a file. Raises Problem if it does not exist or is not readable."""

    def forward_socket(self, target: str) -> AbstractContextManager[ForwardedSocket]:
        """A socket of this machine that forwards to a Unix socket of that one, as long as the context.

        Raises Problem where the machine can't be reached.
        """

    def open_tcp(self, address: str, port: int) -> Stream:
        """A connection from that machine to a TCP address. Raises Unreachable if it does not answer."""


def step_prefix(host: Host) -> str:
    """The first part of the ids of a host's steps."""
    return host.name.replace(" ", "-")


def step_title(host: Host, text: str) -> str:
    """A step's title, with the host's name where it is not this machine."""
    return text if host.name == THIS_MACHINE else f"{host.name}: {text}"


def script(text: str, *, privilege: Privilege = Privilege.USER, timeout: float = 600.0) -> Command:
    """A POSIX sh script, passed on standard input, so that it may have any length and needs no quoting."""
    return Command(("sh", "-s"), stdin=text.encode(), privilege=privilege, timeout=timeout)
