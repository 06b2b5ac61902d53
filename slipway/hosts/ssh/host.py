"""A host over SSH, as a `Host`: one verified connection, remote process groups, uploads that are continued."""

from __future__ import annotations

import contextlib
import hashlib
import io
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.config.models import Hosts
from slipway.engine.cancellation import Cancel
from slipway.engine.limits import ResourceLimit
from slipway.engine.reporter import Reporter, notes_only, null_reporter
from slipway.engine.steps import Probe
from slipway.errors import Cancelled, ConnectionLost, NextCommand, Problem, Unreachable, UsageError
from slipway.hosts import facts, preflight
from slipway.hosts.host import NO_PROXY, Command, ForwardedSocket, Privilege, Result, Stream, script
from slipway.hosts.process import InputStream, ProcessPump
from slipway.hosts.ssh import host_lock
from slipway.hosts.ssh.command_line import (
    AS_USER,
    SUDO_WITH_PASSWORD,
    SUDO_WITHOUT_PASSWORD,
    PrivilegeEscalation,
    command_line,
    for_any_shell,
    sudo_with_password,
)
from slipway.hosts.ssh.reconnect import ATTEMPTS, CHANNEL_TIMEOUT, ReconnectingConnection
from slipway.hosts.ssh.remote_scripts import (
    DIAL_STDIO,
    INCOMPLETE,
    NOT_FOUND_MARK,
    OUTPUT_MARK,
    RECEIVE_FILE,
    UPLOAD_STATE,
    as_job,
)
from slipway.hosts.ssh.session import ChannelStream, RemoteProcess, UploadProgress, close_channel, ended_by_itself
from slipway.hosts.tunnels import unix_socket_tunnel

if TYPE_CHECKING:
    from slipway.hosts.ssh.authentication import AskSecret

PROHIBITED = 1  # SSH_OPEN_ADMINISTRATIVELY_PROHIBITED (RFC 4254, 5.1)
COMMANDS, STREAMS, SIGNALS = 4, 4, 2  # at once on one connection, whose MaxSessions is 10 (sshd_config(5))


@dataclass
class SshHost:
    """A host of hosts.yaml. It connects when it is first used, and again when its connection broke."""

    name: str
    hosts: Hosts
    ask: AskSecret
    report: Reporter = field(default_factory=null_reporter)  # of what no step asks for; cancelling it ends every wait
    packages: ResourceLimit = field(default_factory=lambda: ResourceLimit("the package manager"))
    probe: Probe[facts.Facts] = field(init=False)
    connection: ReconnectingConnection = field(init=False)
    _sudo_password: str | None = None  # once sudo has accepted it
    _password_lock: threading.Lock = field(default_factory=threading.Lock)
    _command_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(COMMANDS))
    _stream_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(STREAMS))
    _signal_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(SIGNALS))

    def __post_init__(self) -> None:
        self.probe = Probe(self._facts)
        self.connection = ReconnectingConnection(self.name, self.hosts, self.ask, self.report)

    def close(self) -> None:
        """End the connection and those of its jump hosts; the next use makes a new one."""
        self.connection.close()

    def _facts(self) -> facts.Facts:
        """Read the facts; again over a new login if the user joined a group since, which makes it count."""
        found = self._run_probe()
        if set(found.enrolled) - set(found.groups) and not found.root:
            self.close()
            found = self._run_probe()
        return found

    def _run_probe(self) -> facts.Facts:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                text = self.run(script(facts.SCRIPT, timeout=30), notes_only(self.report)).text
                return facts.parse(text, now=time.time())
            except ConnectionLost:
                if attempt == ATTEMPTS or not self.connection.was_connected:
                    raise
        raise AssertionError  # pragma: no cover  the loop returns or raises

    # Commands

    def run(self, command: Command, report: Reporter) -> Result:
        """As `Host.run`. Raises ConnectionLost when the connection breaks before the command's end is known."""
        return self._run(command, report)

    def _run(self, command: Command, report: Reporter, source: InputStream | None = None) -> Result:
        report.cancel.check()
        escalation = self._escalation(command.privilege)
        head, line = command_line(as_job(command) if command.resumable else command, escalation, self._proxy_env)
        stdin: list[InputStream] = [io.BytesIO(head + command.stdin), *([source] if source else [])]
        with self._command_slots:
            report.cancel.check()  # it may have waited
            result = self._execute(command, line, stdin, report, escalation)
        if result.exit_code == 127 and NOT_FOUND_MARK in result.stderr:
            summary = f"{command.argv[0]} is not on {self.name}"
            raise Problem(summary, commands=[NextCommand("setup", {"host": self.name})])
        return result

    def _execute(
        self,
        command: Command,
        line: str,
        stdin: list[InputStream],
        report: Reporter,
        escalation: PrivilegeEscalation | None,
    ) -> Result:
        """Run a line in a channel of its own. Without `escalation` the process group is not ended when that raises."""
        from paramiko import SSHException

        channel = self.connection.open_session(report)
        try:
            channel.exec_command(line)
            process = RemoteProcess(self.name, channel, partial(self._signal_group, escalation))
            pump = ProcessPump(process, command, report, stdin)
            try:
                result = pump.run()
            except (Problem, Cancelled):
                if command.resumable:
                    report.note(f"`{command.argv[0]}` continues on {self.name}; the same command attaches to it")
                pump.stop()
                raise
            if not process.started and escalation is AS_USER:
                raise self._not_run(result.stdout + result.stderr)
            return result
        except (SSHException, OSError, EOFError) as error:
            raise self.connection.lost(error) from error
        finally:
            close_channel(channel)

    def _not_run(self, said: bytes) -> Problem:
        """The error for a host that ran something else than the command, as nologin(8) or a forced command does."""
        hint = (
            "is its login shell one that runs commands (getent passwd)? is there a `command=` in authorized_keys, "
            f"or a ForceCommand in sshd_config? ssh {self.name} true shows the same"
        )
        details = said.decode(errors="replace").strip() or "it printed nothing"
        return Unreachable(f"{self.name} accepts the login, but does not run commands", details=details, hint=hint)

    def _signal_group(self, escalation: PrivilegeEscalation | None, group: int, number: signal.Signals) -> None:
        """Signal a process group of the host, beside all that runs; one that is gone already is fine."""
        if escalation is None:
            return
        command = Command(("kill", f"-{number.name.removeprefix('SIG')}", "--", f"-{group}"), timeout=10)
        head, line = command_line(command, escalation, self._proxy_env)
        with contextlib.suppress(Problem, Cancelled), self._signal_slots:
            self._execute(command, line, [io.BytesIO(head)], null_reporter(), None)

    @cached_property
    def _proxy_env(self) -> dict[str, str]:
        """The environment of every command, where the host reaches the internet through a proxy."""
        entry = self.hosts.hosts.get(self.name)
        if entry is None or entry.proxy is None:
            return {}
        lower = {"http_proxy": entry.proxy, "https_proxy": entry.proxy, "no_proxy": NO_PROXY}
        return lower | {key.upper(): value for key, value in lower.items()}

    # Root

    def _escalation(self, privilege: Privilege) -> PrivilegeEscalation:
        if privilege is Privilege.USER or (known := self.probe.facts()).root:
            return AS_USER
        if known.sudo == "nopasswd":
            return SUDO_WITHOUT_PASSWORD
        return sudo_with_password(self._password())

    def _password(self) -> str:
        """The sudo password, checked once before anything relies on it."""
        with self._password_lock:
            if self._sudo_password is None:
                self._sudo_password = self._ask_sudo_password()
            return self._sudo_password

    def _ask_sudo_password(self) -> str:
        """Ask for the password and try it. Raises UsageError if the host has no sudo, or sudo rejects it."""
        known = self.probe.facts()
        if not known.sudo:
            raise preflight.no_sudo(self.name, known)
        password = self.ask("sudo", self.name)
        attempt = Command((*SUDO_WITH_PASSWORD, "true"), stdin=f"{password}\n".encode(), timeout=30)
        result = self._run(attempt, notes_only(self.report))
        if result.exit_code:
            hint = f"check that it is the password of {known.user}, and that sudo -v works for {known.user} there"
            details = result.stderr.decode(errors="replace").strip()
            raise UsageError(f"{self.name}: sudo did not accept the password", details=details, hint=hint)
        return password

    # Files

    def write_file(self, content: bytes, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        words = (path, f"{mode:o}", hashlib.sha256(content).hexdigest())
        self._receive_file(io.BytesIO(content), words, len(content), 0, privilege, report).raise_for_status(
            *self._not_written(path)
        )

    def upload(self, source: Path, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        with source.open("rb") as file:
            size, sha256 = source.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
            words = (path, f"{mode:o}", sha256)
            state = Command(("sh", "-c", UPLOAD_STATE, "sh", *words), privilege=privilege, timeout=120)
            for attempt in range(1, ATTEMPTS + 1):
                answer = self.run(state, notes_only(report))
                text = answer.raise_for_status(f"{path} on {self.name} could not be read").text.strip()
                if text == "whole":
                    return
                offset = file.seek(min(int(text), size))
                if offset:
                    report.note(f"{source.name}: continuing at {offset / 2**20:.0f} of {size / 2**20:.0f} MiB")
                counted = UploadProgress(file, size, report)
                result = self._receive_file(counted, words, size, offset, privilege, report)
                if result.exit_code != INCOMPLETE or attempt == ATTEMPTS:  # another upload may have the rest
                    result.raise_for_status(*self._not_written(path))
                    return

    def _receive_file(
        self,
        source: InputStream,
        words: tuple[str, ...],
        size: int,
        offset: int,
        privilege: Privilege,
        report: Reporter,
    ) -> Result:
        argv = ("sh", "-c", RECEIVE_FILE, "sh", *words, str(size), str(offset))
        return self._run(Command(argv, privilege=privilege, timeout=3600), report, source)

    def _not_written(self, path: str) -> tuple[str, str]:
        return f"{path} on {self.name} could not be written", "free some space there, or check the permissions"

    def read_file(self, path: str, report: Reporter) -> bytes:
        result = self.run(Command(("cat", "--", path), timeout=120), notes_only(report))
        return result.raise_for_status(f"{path} on {self.name} could not be read").stdout

    @contextmanager
    def temporary_upload(self, source: Path, report: Reporter) -> Iterator[str]:
        path = f"{self.probe.facts().home}/.cache/slipway/{source.name}"
        self.upload(source, path, 0o600, Privilege.USER, report)
        try:
            yield path
        finally:
            with contextlib.suppress(Problem):
                self.run(Command(("rm", "-f", path), timeout=30), null_reporter())

    # Sockets

    @contextmanager
    def forward_socket(self, target: str) -> Iterator[ForwardedSocket]:
        self.connection.transport(notes_only(self.report))  # what refuses it is told here, not behind the socket
        with unix_socket_tunnel(partial(self._connect_socket, target)) as forwarded:
            yield forwarded

    def _connect_socket(self, target: str) -> Stream:
        self._stream_slots.acquire()
        try:
            return self._dial_stdio(target)
        except BaseException:
            self._stream_slots.release()
            raise

    def _dial_stdio(self, target: str) -> ChannelStream:
        """A stream to a Unix socket."""
        return self._dial(DIAL_STDIO, (target,), self._stream_slots.release, self._no_socket)

    def _dial(
        self, program: str, words: tuple[str, ...], release: Callable[[], None], failed: Callable[[str], Problem]
    ) -> ChannelStream:
        """A stream to the standard input and output of a program, behind the mark that it prints first.

        For `release` and `failed` see `ChannelStream`.
        """
        from paramiko import SSHException

        channel = self.connection.open_session(notes_only(self.report))
        mark = OUTPUT_MARK + b"\n"
        try:
            channel.settimeout(CHANNEL_TIMEOUT)
            channel.exec_command(for_any_shell("sh", "-c", program, "sh", *words))
            head = b""
            while mark not in head:
                if not (chunk := channel.recv(4096)):
                    if ended_by_itself(channel):
                        raise self._not_run(head + channel.recv_stderr(4096))
                    raise EOFError("it ended before it began")
                head += chunk
            channel.settimeout(None)
        except Problem:
            close_channel(channel)
            raise
        except (SSHException, OSError, EOFError) as error:
            close_channel(channel)
            raise self.connection.lost(error) from error
        return ChannelStream(channel, head.partition(mark)[2], release, failed)

    def _no_socket(self, said: str) -> Problem:
        """Why there is no stream to a socket there: what Docker's own client printed in place of one."""
        final = "denied" in said.lower() or "not found" in said.lower()
        kind, commands = Unreachable if final else ConnectionLost, [NextCommand("setup", {"host": self.name})]
        return kind(f"Docker does not answer on {self.name}", details=said, commands=commands)

    # Locks

    def lock(
        self, name: str, owner: str, on_wait: Callable[[str], None], on_lost: Callable[[str], None], cancel: Cancel
    ) -> AbstractContextManager[None]:
        """Hold a lock between all runs that change something on this host, as `owner` (`host_lock.held`)."""

        def refused(said: str) -> Problem:
            return Unreachable(f"{self.name} gives no lock", details=said, commands=[NextCommand("host.check")])

        dial = partial(self._dial, host_lock.HOLD, (name, owner), _nothing_held, refused)
        return host_lock.held(dial, on_wait, on_lost, cancel)

    # Sockets of its network

    def open_tcp(self, address: str, port: int) -> Stream:
        from paramiko import ChannelException, SSHException

        try:
            transport = self.connection.transport(notes_only(self.report))
            return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=CHANNEL_TIMEOUT)
        except (SSHException, OSError, EOFError) as error:
            summary = f"{address}:{port} does not answer on {self.name}"
            forbidden = isinstance(error, ChannelException) and error.code == PROHIBITED
            hint = "check AllowTcpForwarding and PermitOpen in its sshd_config" if forbidden else ""
            raise Unreachable(summary, details=str(error), hint=hint) from error


def _nothing_held() -> None:
    """What is to be released of a stream that takes no place of others."""
