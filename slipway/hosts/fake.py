"""A host in memory, for tests of what commands say and do: it answers by program, and keeps what was put."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.errors import ExitCode, Problem
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, Done, Privilege, Stream
from slipway.steps import Lane, Probe, Say

Answer = Callable[[Command], tuple[int, bytes, bytes]]  # exit code, standard output, standard error


class FakeHost:
    """See `Host`. `programs` answer by a command's first word; any other is not on the host."""

    def __init__(self, name: str, facts: Facts, programs: dict[str, Answer] | None = None) -> None:
        self.name = name
        self.packages = Lane("the package manager")
        self.probe = Probe(lambda: facts)
        self.programs = programs or {}
        self.ran: list[Command] = []
        self.files: dict[str, tuple[bytes, int]] = {}

    def run(self, command: Command, say: Say) -> Done:
        """See `Host.run`."""
        say.cancel.check()
        self.ran.append(command)
        answer = self.programs.get(command.argv[0])
        if answer is None:
            raise Problem(f"{command.argv[0]} is not on {self.name}", fix="./invoke setup", code=ExitCode.FAILED)
        code, out, err = answer(command)
        for stream, text in (("stdout", out), ("stderr", err)):
            for line in text.decode(errors="replace").splitlines():
                say.output(stream, line)
        return Done(command, code, out, err)

    def put(self, content: bytes, path: str, mode: int, privilege: Privilege, say: Say) -> None:  # noqa: ARG002  no rights here
        """See `Host.put`."""
        say.cancel.check()
        self.files[path] = (content, mode)

    def send(self, source: Path, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """See `Host.send`."""
        self.put(source.read_bytes(), path, mode, privilege, say)

    @contextmanager
    def lend(self, source: Path, say: Say) -> Iterator[str]:
        """See `Host.lend`."""
        self.send(source, source.name, 0o600, Privilege.USER, say)
        yield source.name
        self.files.pop(source.name)

    def get(self, path: str, say: Say) -> bytes:
        """See `Host.get`."""
        say.cancel.check()
        if path not in self.files:
            raise Problem(f"{path} could not be read", why="it is not there")
        return self.files[path][0]

    @contextmanager
    def forward(self, target: str) -> Iterator[str]:
        """See `Host.forward`."""
        yield target

    def dial(self, address: str, port: int) -> Stream:
        """See `Host.dial`: nothing listens in memory."""
        raise Problem(f"{address}:{port} does not answer", code=ExitCode.UNREACHABLE)
