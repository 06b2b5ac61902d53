"""A machine over SSH, as a `Host`: one verified connection, process groups there, files that go on where they broke."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from slipway.config.models import Hosts
from slipway.engine.steps import Cancel, Probe, Reporter, ResourceLimit, null_reporter
from slipway.errors import Cancelled, ConnectionLost, Problem, Unreachable, UsageError
from slipway.hosts import facts
from slipway.hosts.host import NO_PROXY, Command, Privilege, Result, Stream, script
from slipway.hosts.ssh.remote_scripts import BEGIN, DIAL, HAVE, RECEIVE, SHORT, WRAPPER, job
from slipway.hosts.ssh.session import End, Limited, Talk, UploadProgress, shut
from slipway.hosts.tunnels import unix

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import Channel, Transport

    from slipway.hosts.ssh.connection import Ask

PrivilegeEscalation = tuple[str, tuple[str, ...]]  # what a command needs before it: lines of standard input, and words

COMMANDS, STREAMS, ENDS = 4, 4, 2  # at once on one connection, whose MaxSessions is 10 (sshd_config(5))
OPEN = 20  # seconds for the far side to open a channel
REFUSED = 5  # seconds for which a refusal is the answer
RETURN = 120  # seconds that a host which was reached before gets to come back, from when its link broke
RETRY = 1.0  # seconds between two tries
ASKED = 4  # times that a question is asked when the link breaks meanwhile


@dataclass
class SshHost:
    """A host of hosts.yaml. It connects when it is first asked something, and again when the link has broken."""

    name: str
    hosts: Hosts
    ask: Ask
    cancel: Cancel = field(default_factory=Cancel)  # ends what waits for the host
    packages: ResourceLimit = field(default_factory=lambda: ResourceLimit("the package manager"))
    probe: Probe[facts.Facts] = field(init=False)
    _connection: Connection | None = None
    _refused: tuple[float, Problem | None] = (0.0, None)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _broke: float | None = None  # when the link was found broken, until it is back
    _sudo: str | None = None  # its password, once that was accepted
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _commands: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(COMMANDS))
    _streams: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(STREAMS))
    _ends: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(ENDS))

    def __post_init__(self) -> None:
        self.probe = Probe(self._facts)

    def _facts(self) -> facts.Facts:
        """What the host is. A user who joined a group since the login comes in anew, which makes it count."""
        found = self._asked()
        if set(found.enrolled) - set(found.groups) and not found.root:
            self.close()
            found = self._asked()
        return found

    def _asked(self) -> facts.Facts:
        for attempt in range(1, ASKED + 1):
            try:
                text = self.run(script(facts.SCRIPT, timeout=30), null_reporter(self.cancel)).text
                return facts.parse(text, now=time.time())
            except ConnectionLost:
                if attempt == ASKED or self._connection is None:
                    raise
        raise AssertionError  # pragma: no cover  the loop returns or raises

    @cached_property
    def _proxied(self) -> dict[str, str]:
        """The environment of every command there, where the host reaches the world through a proxy."""
        entry = self.hosts.hosts.get(self.name)
        if entry is None or entry.proxy is None:
            return {}
        both = {"http_proxy": entry.proxy, "https_proxy": entry.proxy, "no_proxy": NO_PROXY}
        return both | {key.upper(): value for key, value in both.items()}

    def close(self) -> None:
        """End the connection, jumps too; the next question makes a new one."""
        from slipway.hosts.ssh import connection as link

        with self._lock:
            if self._connection:
                link.close(self._connection)

    def _transport(self, report: Reporter) -> Transport:
        with self._lock:
            if self._connection is None:
                self._connection = self._first()
            elif not self._connection.is_connected:
                self._connection = self._again(self._connection, report)
            return self._open(self._connection)

    def _first(self) -> Connection:
        """The first connection. Who asks again a moment after it was refused gets the same answer."""
        from slipway.hosts.ssh import connection as link

        when, refused = self._refused
        if refused and time.monotonic() - when < REFUSED:
            raise refused
        try:
            return link.connect(self.name, self.hosts, self.ask, self.cancel)
        except Problem as problem:
            self._refused = (time.monotonic(), problem)
            raise

    def _again(self, broken: Connection, report: Reporter) -> Connection:
        """A new connection in place of a broken one; all who wait for it share the time that it may take."""
        from slipway.hosts.ssh import connection as link
        from slipway.hosts.ssh import jump as hop

        report.note(f"the connection to {self.name} broke; reconnecting")
        link.close(broken)  # its jumps may be well
        self._broke = self._broke or time.monotonic()
        while True:
            self.cancel.check()
            try:
                made = link.connect(self.name, self.hosts, self.ask, self.cancel)
            except hop.HostUnreachable:
                if time.monotonic() - self._broke > RETURN:
                    raise
                self.cancel.wait(RETRY)
            else:
                self._broke = None
                return made

    @staticmethod
    def _open(connection: Connection) -> Transport:
        transport: Transport = connection.client.get_transport()
        return transport

    def _session(self, report: Reporter) -> Channel:
        """A new channel; nothing was asked on it yet, so that a broken link is simply made anew."""
        from paramiko import ChannelException, SSHException

        for attempt in range(1, ASKED + 1):
            transport = self._transport(report)
            try:
                return transport.open_session(timeout=OPEN)
            except (SSHException, OSError, EOFError) as error:
                if attempt == ASKED:
                    raise self._lost(error) from error
                if isinstance(error, ChannelException):
                    time.sleep(0.3 * attempt)  # the link is well, and has as many sessions as sshd allows
                else:
                    transport.close()
        raise AssertionError  # pragma: no cover  the loop returns or raises

    def _lost(self, error: object = "") -> ConnectionLost:
        hint = f"./invoke host.check --host {self.name}; then run the same command again, which goes on"
        return ConnectionLost(f"the connection to {self.name} broke", details=str(error), hint=hint)

    def run(self, command: Command, report: Reporter) -> Result:
        """See `Host.run`. Raises Lost when the link breaks before the command's end is known."""
        return self._run(command, report)

    def _run(self, command: Command, report: Reporter, source: BinaryIO | None = None) -> Result:
        report.cancel.check()
        rise = self._rise(command.privilege)
        head, line = self._line(job(command) if command.resumable else command, rise)
        streams = [io.BytesIO(head + command.stdin), *([source] if source else [])]
        with self._commands:
            report.cancel.check()  # it may have waited
            return self._talk(command, line, streams, report, partial(self._end, rise))

    def _talk(self, command: Command, line: str, streams: list[BinaryIO], report: Reporter, end: End) -> Result:
        from paramiko import SSHException

        channel = self._session(report)
        try:
            channel.exec_command(line)
            return Talk(self.name, channel, command, report, streams, end).finish()
        except (SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error
        finally:
            shut(channel)

    def _end(self, rise: PrivilegeEscalation, group: int, signal: str) -> None:
        """Signal a process group there, beside all that runs; one that is gone already is fine."""
        command = Command(("kill", f"-{signal}", "--", f"-{group}"), timeout=10)
        head, line = self._line(command, rise)
        with contextlib.suppress(Problem, Cancelled), self._ends:
            self._talk(command, line, [io.BytesIO(head)], null_reporter(), lambda *_: None)

    def _rise(self, privilege: Privilege) -> PrivilegeEscalation:
        """What a command needs before it to run as somebody: lines of standard input, and words."""
        if privilege is Privilege.USER or (known := self.probe.facts()).root:
            return "", ()
        if known.sudo == "nopasswd":
            return "", ("sudo", "-n", "--")
        return f"{self._password()}\n", ("sudo", "-k", "-S", "-p", "", "--")

    def _line(self, command: Command, rise: PrivilegeEscalation) -> tuple[bytes, str]:
        """What standard input begins with, and the line for the login shell; no secret is in the line."""
        env = [f"{key}={value}" for key, value in {**self._proxied, **(command.env or {})}.items()]
        first, before = rise
        words = [*before, "sh", "-c", WRAPPER, "sh", str(len(env)), command.cwd or "", *command.argv]
        return (first + "".join(f"{line}\n" for line in env)).encode(), "exec " + shlex.join(words)

    def _password(self) -> str:
        """The sudo password, tried once before anything relies on it. Raises Problem if sudo is absent or refuses."""
        with self._asking:
            if self._sudo is None:
                self._sudo = self._tried()
            return self._sudo

    def _tried(self) -> str:
        known = self.probe.facts()
        if not known.sudo:
            hint = f"install sudo there and allow {known.user} to use it, or log in as root"
            raise UsageError(f"{self.name} has no sudo, and {known.user} is not root", hint=hint)
        password = self.ask("sudo", self.name)
        tried = Command(("sudo", "-k", "-S", "-p", "", "--", "true"), stdin=f"{password}\n".encode(), timeout=30)
        done = self._run(tried, null_reporter(self.cancel))
        if done.exit_code:
            hint = f"is it {known.user}'s, and may {known.user} use sudo there? sudo -v tells"
            details = done.stderr.decode(errors="replace").strip()
            raise UsageError(f"{self.name}: sudo did not accept the password", details=details, hint=hint)
        return password

    def write_file(self, content: bytes, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """See `Host.write_file`."""
        words = (path, f"{mode:o}", hashlib.sha256(content).hexdigest())
        self._receive(io.BytesIO(content), words, len(content), 0, privilege, report).raise_for_status(
            *self._unwritten(path)
        )

    def upload(self, source: Path, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """See `Host.upload`."""
        with source.open("rb") as file:
            size, sha256 = source.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
            words = (path, f"{mode:o}", sha256)
            have = Command(("sh", "-c", HAVE, "sh", *words), privilege=privilege, timeout=120)
            for attempt in range(1, ASKED + 1):
                found = self.run(have, replace(report, emit=lambda _: None))
                text = found.raise_for_status(f"{path} of {self.name} could not be read").text.strip()
                if text == "whole":
                    return
                begin = file.seek(min(int(text), size))
                if begin:
                    report.note(f"{source.name}: goes on at {begin / 2**20:.0f} of {size / 2**20:.0f} MiB")
                counted: BinaryIO = UploadProgress(file, size, report)  # type: ignore[assignment]
                done = self._receive(counted, words, size, begin, privilege, report)
                if done.exit_code != SHORT or attempt == ASKED:  # short: somebody else goes on with it, or is through
                    done.raise_for_status(*self._unwritten(path))
                    return

    def _receive(
        self, source: BinaryIO, words: tuple[str, ...], size: int, begin: int, privilege: Privilege, report: Reporter
    ) -> Result:
        argv = ("sh", "-c", RECEIVE, "sh", *words, str(size), str(begin))
        return self._run(Command(argv, privilege=privilege, timeout=3600), report, source)

    def _unwritten(self, path: str) -> tuple[str, str]:
        return f"{path} of {self.name} could not be written", "make room there, or check the rights"

    def read_file(self, path: str, report: Reporter) -> bytes:
        """See `Host.read_file`."""
        done = self.run(Command(("cat", "--", path), timeout=120), replace(report, emit=lambda _: None))
        return done.raise_for_status(f"{path} of {self.name} could not be read").stdout

    @contextmanager
    def temporary_upload(self, source: Path, report: Reporter) -> Iterator[str]:
        """See `Host.temporary_upload`."""
        place = f"{self.probe.facts().home}/.cache/slipway/{source.name}"
        self.upload(source, place, 0o600, Privilege.USER, report)
        try:
            yield place
        finally:
            with contextlib.suppress(Problem):
                self.run(Command(("rm", "-f", place), timeout=30), null_reporter())

    @contextmanager
    def forward_socket(self, target: str) -> Iterator[str]:
        """See `Host.forward_socket`."""

        def dial() -> Stream:
            self._streams.acquire()
            try:
                return self._stream(target)
            except BaseException:
                self._streams.release()
                raise

        with unix(dial) as path:
            yield path

    def _stream(self, target: str) -> Stream:
        from paramiko import SSHException

        channel = self._session(null_reporter(self.cancel))
        try:
            channel.settimeout(OPEN)
            channel.exec_command("exec " + shlex.join(["sh", "-c", DIAL, "sh", target]))
            head = b""
            while BEGIN + b"\n" not in head:
                if not (chunk := channel.recv(4096)):
                    raise EOFError("it ended before it began")
                head += chunk
            channel.settimeout(None)
        except (SSHException, OSError, EOFError) as error:
            shut(channel)
            raise self._lost(error) from error
        return Limited(channel, head.partition(BEGIN + b"\n")[2], self._streams.release)

    def open_tcp(self, address: str, port: int) -> Stream:
        """See `Host.open_tcp`."""
        from paramiko import SSHException

        try:
            transport = self._transport(null_reporter(self.cancel))
            return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=OPEN)
        except (SSHException, OSError, EOFError) as error:
            summary = f"{address}:{port} does not answer on {self.name}"
            raise Unreachable(summary, details=str(error)) from error
