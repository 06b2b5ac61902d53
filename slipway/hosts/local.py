"""The machine that Slipway runs on, as a `Host`: commands in process groups, atomic file writes, sudo where needed."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.config.host_secrets import without_host_secrets
from slipway.engine.limits import ResourceLimit
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.steps import Probe
from slipway.errors import NextCommand, Problem, Unreachable, UsageError
from slipway.hosts.host import THIS_MACHINE, Command, ForwardedSocket, Privilege, Result, script
from slipway.hosts.local_process import LocalProcess, group_exists
from slipway.hosts.process import ProcessPump

if TYPE_CHECKING:
    from slipway.hosts.facts import Facts

SUDO_KILL_TIMEOUT = 3.0  # seconds


class LocalHost:
    """The machine that Slipway runs on. `password` is called only when a command needs root and sudo wants one."""

    name = THIS_MACHINE

    def __init__(self, password: Callable[[], str] | None = None) -> None:
        self.packages = ResourceLimit("the package manager")
        self.probe: Probe[Facts] = Probe(self._facts)
        self._password = password

    def _facts(self) -> Facts:
        from slipway.hosts import facts  # here, since most runs install nothing

        return facts.parse(self.run(script(facts.SCRIPT, timeout=20), null_reporter()).text)

    def run(self, command: Command, report: Reporter) -> Result:
        report.cancel.check()
        argv, stdin = self._privileged(command)
        inherited = without_host_secrets(os.environ)
        for name in command.unset:
            inherited.pop(name, None)
        try:
            started = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**inherited, **(command.env or {})},
                cwd=command.cwd,
                start_new_session=True,
                pass_fds=command.pass_fds,
            )
        except FileNotFoundError as error:
            if error.filename == command.cwd:
                raise Problem(f"folder {command.cwd} does not exist", details=f"$ {command.line}") from error
            if "/" in command.argv[0] and (Path(command.cwd or ".") / command.argv[0]).is_file():
                hint = "its first line (#!) names a program that is not on this machine, or ends with a carriage return"
                raise Problem(f"{command.argv[0]} could not be started", details=str(error), hint=hint) from error
            summary = f"{command.argv[0]} is not on this machine"
            raise Problem(summary, details=str(error), commands=[NextCommand("setup")]) from error
        except OSError as error:
            hint = "a script needs a first line such as #!/bin/sh" if error.errno == errno.ENOEXEC else ""
            raise Problem(f"{command.argv[0]} could not be started", details=str(error), hint=hint) from error
        with LocalProcess(started, partial(self._signal_group, command.privilege)) as process:
            pump = ProcessPump(process, command, report, [io.BytesIO(stdin)])
            try:
                return pump.run()
            except BaseException:
                pump.stop()
                raise

    def _signal_group(self, privilege: Privilege, group: int, number: signal.Signals) -> None:
        """Signal a process group that still exists, as root where its command runs as root."""
        if not group_exists(group):
            return
        if privilege is Privilege.USER or os.geteuid() == 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
            return
        kill = ("sh", "-c", f"kill -s {number.name.removeprefix('SIG')} -- -{group}")
        with contextlib.suppress(Problem, OSError, subprocess.TimeoutExpired):
            argv, stdin = self._privileged(Command(kill, privilege=privilege))
            subprocess.run(
                argv, input=stdin, capture_output=True, timeout=SUDO_KILL_TIMEOUT, check=False, start_new_session=True
            )

    def _privileged(self, command: Command) -> tuple[list[str], bytes]:
        argv = list(command.argv)
        if command.privilege is Privilege.USER or os.geteuid() == 0:
            return argv, command.stdin
        sudo = self.probe.facts().sudo
        if not sudo:
            raise UsageError(
                f"`{argv[0]}` needs root, and this machine has no sudo",
                hint="run the same command as root, or install sudo and allow this user",
            )
        extra = [f"{key}={value}" for key, value in (command.env or {}).items()]
        inner = ["env", *extra, *argv] if extra else argv
        if sudo == "nopasswd":
            return ["sudo", "-n", "--", *inner], command.stdin
        if self._password is None:
            raise UsageError("sudo needs a password", hint="set SLIPWAY_SUDO_PASSWORD")
        # -k: sudo asks every time, so that it always reads the line with the password, which never reaches the command
        return ["sudo", "-k", "-S", "-p", "", "--", *inner], self._password().encode() + b"\n" + command.stdin

    def write_file(self, content: bytes, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        if privilege is Privilege.ROOT and os.geteuid() != 0:
            self._write_file_as_root(content, path, mode, report)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise Problem(
                f"{path} could not be written", details=str(error), hint="free some space, or check the permissions"
            ) from error

    def _write_file_as_root(self, content: bytes, path: str, mode: int, report: Reporter) -> None:
        temporary = f"{path}.slipway"
        install = ("install", "-D", "-m", f"{mode:o}", "/dev/stdin", temporary)
        self.run(Command(install, stdin=content, privilege=Privilege.ROOT), report).raise_for_status(
            f"{path} could not be written"
        )
        move = Command(("mv", "-f", temporary, path), privilege=Privilege.ROOT)
        self.run(move, report).raise_for_status(f"{path} could not be written")

    def upload(self, source: Path, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        self.write_file(source.read_bytes(), path, mode, privilege, report)

    @contextmanager
    def temporary_upload(self, source: Path, report: Reporter) -> Iterator[str]:  # noqa: ARG002  it is on this machine already
        yield str(source)

    def read_file(self, path: str, report: Reporter) -> bytes:
        report.cancel.check()
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise Problem(f"{path} could not be read", details=str(error)) from error

    @contextmanager
    def forward_socket(self, target: str) -> Iterator[ForwardedSocket]:
        """The socket itself, or a relay to it in a group that this process is not a member of yet."""
        if os.access(target, os.W_OK) or not Path(target).exists():
            yield ForwardedSocket(target)
            return
        from slipway.hosts.group_relay import relay

        with relay(target) as path:
            yield ForwardedSocket(path)

    def open_tcp(self, address: str, port: int) -> socket.socket:
        try:
            connection = socket.create_connection((address, port), timeout=10)
        except OSError as error:
            raise Unreachable(f"{address}:{port} does not answer", details=str(error)) from error
        connection.settimeout(None)
        return connection
