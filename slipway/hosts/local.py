"""The machine that Slipway runs on, as a `Host`: commands in process groups, files written whole, sudo at need."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Self

from slipway.engine.steps import Probe, Reporter, ResourceLimit, null_reporter
from slipway.errors import Problem, Unreachable, UsageError
from slipway.hosts import facts
from slipway.hosts.host import THIS_MACHINE, Command, Privilege, Result, script, shown

GRACE = 3.0  # seconds between SIGTERM and SIGKILL of a cancelled command's group
CHUNK = 65536
POLL = 0.1  # seconds between two looks at the clock and at cancellation


class LocalHost:
    """The machine that Slipway runs on. `password` is asked only when a command needs root and sudo wants one."""

    name = THIS_MACHINE

    def __init__(self, password: Callable[[], str] | None = None) -> None:
        self.packages = ResourceLimit("the package manager")
        self.probe: Probe[facts.Facts] = Probe(self._facts)
        self._password = password

    def _facts(self) -> facts.Facts:
        return facts.parse(self.run(script(facts.SCRIPT, timeout=20), null_reporter()).text)

    def run(self, command: Command, report: Reporter) -> Result:
        """See `Host.run`."""
        report.cancel.check()
        argv, stdin = self._privileged(command)
        env = {**os.environ, **command.env} if command.env else None
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                cwd=command.cwd,
                start_new_session=True,
                pass_fds=command.pass_fds,
            )
        except FileNotFoundError as error:
            raise Problem(
                f"{command.argv[0]} is not on this machine", details=str(error), hint="./invoke setup"
            ) from error
        except OSError as error:
            raise Problem(f"{command.argv[0]} could not be started", details=str(error)) from error
        with _Talk(process, command, report) as talk:
            try:
                return talk.finish(stdin)
            except BaseException:
                talk.end(lambda number: self._signal(process.pid, number, command.privilege))
                raise

    def _signal(self, group: int, number: signal.Signals, privilege: Privilege) -> None:
        """Signal a process group that is there, as root where its command runs as root."""
        if not _there(group):
            return
        if privilege is Privilege.USER or os.geteuid() == 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
            return
        words = ("sh", "-c", f"kill -s {number.name.removeprefix('SIG')} -- -{group}")
        with contextlib.suppress(Problem, OSError, subprocess.TimeoutExpired):
            argv, stdin = self._privileged(Command(words, privilege=privilege))
            subprocess.run(argv, input=stdin, capture_output=True, timeout=GRACE, check=False, start_new_session=True)

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
            raise UsageError("sudo wants a password", hint="set SLIPWAY_SUDO_PASSWORD")
        # -k: sudo asks every time, so that the password's line is always read and never reaches the command
        return ["sudo", "-k", "-S", "-p", "", "--", *inner], self._password().encode() + b"\n" + command.stdin

    def write_file(self, content: bytes, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """See `Host.write_file`."""
        if privilege is Privilege.ROOT and os.geteuid() != 0:
            self._put_as_root(content, path, mode, report)
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
                f"{path} could not be written", details=str(error), hint="make room, or check the rights"
            ) from error

    def _put_as_root(self, content: bytes, path: str, mode: int, report: Reporter) -> None:
        temporary = f"{path}.slipway"
        install = ("install", "-D", "-m", f"{mode:o}", "/dev/stdin", temporary)
        self.run(Command(install, stdin=content, privilege=Privilege.ROOT), report).raise_for_status(
            f"{path} could not be written"
        )
        move = Command(("mv", "-f", temporary, path), privilege=Privilege.ROOT)
        self.run(move, report).raise_for_status(f"{path} could not be written")

    def upload(self, source: Path, path: str, mode: int, privilege: Privilege, report: Reporter) -> None:
        """See `Host.upload`: there is nothing to go on with on one machine."""
        self.write_file(source.read_bytes(), path, mode, privilege, report)

    @contextmanager
    def temporary_upload(self, source: Path, report: Reporter) -> Iterator[str]:  # noqa: ARG002  it is there already
        """See `Host.temporary_upload`."""
        yield str(source)

    def read_file(self, path: str, report: Reporter) -> bytes:
        """See `Host.read_file`."""
        report.cancel.check()
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise Problem(f"{path} could not be read", details=str(error)) from error

    @contextmanager
    def forward_socket(self, target: str) -> Iterator[str]:
        """The socket itself, or a relay to it under a group that this process does not have yet."""
        if os.access(target, os.W_OK) or not Path(target).exists():
            yield target
            return
        from slipway.hosts.group_relay import relay

        with relay(target) as path:
            yield path

    def open_tcp(self, address: str, port: int) -> socket.socket:
        """See `Host.open_tcp`."""
        try:
            made = socket.create_connection((address, port), timeout=10)
        except OSError as error:
            raise Unreachable(f"{address}:{port} does not answer", details=str(error)) from error
        made.settimeout(None)
        return made


class _Talk:
    """Feeds a process, passes its lines on, and watches the clock and the run's cancellation."""

    def __init__(self, process: subprocess.Popen[bytes], command: Command, report: Reporter) -> None:
        self._process, self._command, self._say = process, command, report
        self._taken: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._selector = selectors.DefaultSelector()
        self._pending = memoryview(b"")
        self._heard = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def finish(self, stdin: bytes) -> Result:
        """What the command answered. Raises Problem when a clock runs out, Cancelled when the run is to end."""
        process, command = self._process, self._command
        assert process.stdin  # noqa: S101  Popen was given three pipes
        assert process.stdout  # noqa: S101
        assert process.stderr  # noqa: S101
        deadline = time.monotonic() + command.timeout
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, name)
        if stdin:
            self._pending = memoryview(stdin)
            os.set_blocking(process.stdin.fileno(), False)
            self._selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
        else:
            process.stdin.close()
        while self._speaks() or process.poll() is None:
            now = time.monotonic()
            self._say.cancel.check()
            if now > deadline:
                self._too_long(f"{command.timeout:.0f} s")
            if command.idle is not None and now - self._heard > command.idle:
                self._too_long(f"{command.idle:.0f} s without a word")
            self._hear(POLL)
        for stream in self._partial:
            self._line(stream, self._partial[stream])
        self._say.cancel.check()
        return Result(command, process.returncode, b"".join(self._taken["stdout"]), b"".join(self._taken["stderr"]))

    def end(self, signalled: Callable[[signal.Signals], None]) -> None:
        """End the whole group: asked first, then killed. It is heard meanwhile, so that no full pipe keeps it."""
        process = self._process
        signalled(signal.SIGTERM)
        try:
            self._hear_until(lambda: process.poll() is not None and not _there(process.pid))
        finally:
            signalled(signal.SIGKILL)
        if not self._hear_until(lambda: process.poll() is not None):
            self._say.note(f"`{self._command.argv[0]}` (pid {process.pid}) could not be ended")

    def _hear_until(self, true: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + GRACE
        while not (met := true()) and time.monotonic() < deadline:
            self._hear(POLL / 2)
        while self._hear(0) and time.monotonic() < deadline:
            pass  # its last words are still in the pipes
        return met

    def _speaks(self) -> bool:
        return any(key.data != "stdin" for key in self._selector.get_map().values())

    def _hear(self, seconds: float) -> bool:
        """Feed and read once, or wait for the end of what neither takes nor says anything more; at most so long.

        Returns whether there was anything to feed or read.
        """
        if not self._selector.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return False
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if key.data == "stdin":
                self._feed()
            elif chunk := os.read(key.fd, CHUNK):
                self._heard = time.monotonic()
                self._take(key.data, chunk)
            else:
                self._selector.unregister(key.fileobj)
        return bool(ready)

    def _feed(self) -> None:
        pipe = self._process.stdin
        assert pipe  # noqa: S101  Popen was given a pipe
        try:
            self._pending = self._pending[os.write(pipe.fileno(), self._pending[:CHUNK]) :]
        except BrokenPipeError:
            self._pending = self._pending[:0]
        if not self._pending:
            self._selector.unregister(pipe)
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _take(self, stream: str, chunk: bytes) -> None:
        self._taken[stream].append(chunk)
        *lines, self._partial[stream] = (self._partial[stream] + chunk).split(b"\n")
        for line in lines:
            self._line(stream, line)

    def _line(self, stream: str, line: bytes) -> None:
        if text := shown(line):
            self._say.output(stream, text)

    def _too_long(self, limit: str) -> NoReturn:
        command = self._command
        last = (self._taken["stderr"] or self._taken["stdout"] or [b""])[-1].decode(errors="replace").strip()
        raise Problem(f"`{command.argv[0]}` took more than {limit} and was ended", details=f"$ {command.line}\n{last}")


def _there(group: int) -> bool:
    """Whether a process group has members."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # root's
    return True
