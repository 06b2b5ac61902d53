"""A host in memory, for tests: programs are functions, and files are kept in a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.engine.limits import ResourceLimit
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Probe
from slipway.errors import NextCommand, Problem, Unreachable
from slipway.hosts.facts import Facts
from slipway.hosts.host import Command, ForwardedSocket, Privilege, Result, Stream

Answer = Callable[[Command], tuple[int, bytes, bytes]]  # exit code, standard output, standard error


class FakeHost:
    """A `Host`. `programs` answer by the first word of a command; others are not installed; `ran` is what was run."""

    def __init__(self, name: str, facts: Facts, programs: dict[str, Answer] | None = None) -> None:
        self.name = name
        self.packages = ResourceLimit("the package manager")
        self.probe = Probe(lambda: facts)
        self.programs = programs or {}
        self.ran: list[Command] = []
        self.files: dict[str, tuple[bytes, int]] = {}

    def run(self, command: Command, report: Reporter) -> Result:
        report.cancel.check()
        self.ran.append(command)
        answer = self.programs.get(command.argv[0])
        if answer is None:
            raise Problem(f"{command.argv[0]} is not on {self.name}", commands=[NextCommand("setup")])
        code, out, err = answer(command)
        for stream, text in (("stdout", out), ("stderr", err)):
            for line in text.decode(errors="replace").splitlines():
                report.output(stream, line)
        return Result(command, code, out, err)

    def write_file(self, content: bytes, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:  # noqa: ARG002  there are no users here
        report.cancel.check()
        self.files[path] = (content, mode)

    def upload(self, source: Path, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        self.write_file(source.read_bytes(), path, mode, privilege, report)

    @contextmanager
    def temporary_upload(self, source: Path, report: Reporter) -> Iterator[str]:
        self.upload(source, source.name, 0o600, Privilege.USER, report)
        yield source.name
        self.files.pop(source.name)

    def read_file(self, path: str, report: Reporter) -> bytes:
        report.cancel.check()
        if path not in self.files:
            raise Problem(f"{path} could not be read", details="it does not exist")
        return self.files[path][0]

    @contextmanager
    def forward_socket(self, target: str) -> Iterator[ForwardedSocket]:
        yield ForwardedSocket(target)

    def open_tcp(self, address: str, port: int) -> Stream:
        raise Unreachable(f"{address}:{port} does not answer")
