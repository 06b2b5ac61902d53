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

from slipway.errors import Cancelled, ExitCode, Problem
from slipway.hosts import facts
from slipway.hosts.host import HERE, Command, Done, Privilege, script, shown
from slipway.steps import Lane, Probe, Say, silent

GRACE = 3.0  # seconds between SIGTERM and SIGKILL of a cancelled command's group
CHUNK = 65536


class Local:
    """The machine that Slipway runs on. `password` is asked only when a command needs root and sudo wants one."""

    name = HERE

    def __init__(self, password: Callable[[], str] | None = None) -> None:
        self.packages = Lane("the package manager")
        self.probe: Probe[facts.Facts] = Probe(self._facts)
        self._password = password

    def _facts(self) -> facts.Facts:
        return facts.parse(self.run(script(facts.SCRIPT, timeout=20), silent()).text)

    def run(self, command: Command, say: Say) -> Done:
        """See `Host.run`."""
        say.cancel.check()
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
                pass_fds=command.inherits,
            )
        except FileNotFoundError as error:
            raise Problem(f"{command.argv[0]} is not on this machine", why=str(error), fix="./invoke setup") from error
        except OSError as error:
            raise Problem(f"{command.argv[0]} could not be started", why=str(error)) from error
        forget = say.cancel.on_request(lambda: _signal(process, signal.SIGTERM))
        try:
            return _Talk(process, command, say).finish(stdin)
        finally:
            forget()
            _end(process)

    def _privileged(self, command: Command) -> tuple[list[str], bytes]:
        argv = list(command.argv)
        if command.privilege is Privilege.USER or os.geteuid() == 0:
            return argv, command.stdin
        sudo = self.probe.facts().sudo
        if not sudo:
            raise Problem(
                f"`{argv[0]}` needs root, and this machine has no sudo",
                fix="run the same command as root, or install sudo and allow this user",
                code=ExitCode.USAGE,
            )
        extra = [f"{key}={value}" for key, value in (command.env or {}).items()]
        inner = ["env", *extra, *argv] if extra else argv
        if sudo == "nopasswd":
            return ["sudo", "-n", "--", *inner], command.stdin
        if self._password is None:
            raise Problem("sudo wants a password", fix="set SLIPWAY_SUDO_PASSWORD", code=ExitCode.USAGE)
        # -k: sudo asks every time, so that the password's line is always read and never reaches the command
        return ["sudo", "-k", "-S", "-p", "", "--", *inner], self._password().encode() + b"\n" + command.stdin

    def put(self, content: bytes, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """See `Host.put`."""
        if privilege is Privilege.ROOT and os.geteuid() != 0:
            self._put_as_root(content, path, mode, say)
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
                f"{path} could not be written", why=str(error), fix="make room, or check the rights"
            ) from error

    def _put_as_root(self, content: bytes, path: str, mode: int, say: Say) -> None:
        temporary = f"{path}.slipway"
        install = ("install", "-D", "-m", f"{mode:o}", "/dev/stdin", temporary)
        self.run(Command(install, stdin=content, privilege=Privilege.ROOT), say).checked(f"{path} could not be written")
        move = Command(("mv", "-f", temporary, path), privilege=Privilege.ROOT)
        self.run(move, say).checked(f"{path} could not be written")

    def send(self, source: Path, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """See `Host.send`: there is nothing to go on with on one machine."""
        self.put(source.read_bytes(), path, mode, privilege, say)

    @contextmanager
    def lend(self, source: Path, say: Say) -> Iterator[str]:  # noqa: ARG002  it is there already
        """See `Host.lend`."""
        yield str(source)

    def get(self, path: str, say: Say) -> bytes:
        """See `Host.get`."""
        say.cancel.check()
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise Problem(f"{path} could not be read", why=str(error)) from error

    @contextmanager
    def forward(self, target: str) -> Iterator[str]:
        """See `Host.forward`: the socket itself, or a relay under a group that this process does not have yet."""
        if os.access(target, os.W_OK) or not Path(target).exists():
            yield target
            return
        from slipway.hosts.relay import relay

        with relay(target) as path:
            yield path

    def dial(self, address: str, port: int) -> socket.socket:
        """See `Host.dial`."""
        try:
            made = socket.create_connection((address, port), timeout=10)
        except OSError as error:
            raise Problem(f"{address}:{port} does not answer", why=str(error), code=ExitCode.UNREACHABLE) from error
        made.settimeout(None)
        return made


class _Talk:
    """Feeds a process, passes its lines on, and watches the clock and the run's cancellation."""

    def __init__(self, process: subprocess.Popen[bytes], command: Command, say: Say) -> None:
        self._process, self._command, self._say = process, command, say
        self._taken: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}

    def finish(self, stdin: bytes) -> Done:
        process, command = self._process, self._command
        assert process.stdin  # noqa: S101  Popen was given three pipes
        assert process.stdout  # noqa: S101
        assert process.stderr  # noqa: S101
        deadline = time.monotonic() + command.timeout
        heard = time.monotonic()
        pending = memoryview(stdin)
        with selectors.DefaultSelector() as selector:
            for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, name)
            if pending:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
            else:
                process.stdin.close()
            while any(key.data != "stdin" for key in selector.get_map().values()):
                now = time.monotonic()
                if self._say.cancel.requested:
                    raise Cancelled
                if now > deadline or (command.idle is not None and now - heard > command.idle):
                    self._too_long(now > deadline)
                for key, _ in selector.select(timeout=0.1):
                    if key.data == "stdin":
                        pending = self._feed(selector, pending)
                    elif chunk := os.read(key.fd, CHUNK):
                        heard = now
                        self._take(key.data, chunk)
                    else:
                        selector.unregister(key.fileobj)
        code = process.wait()
        for stream in self._partial:
            self._line(stream, self._partial[stream])
        if self._say.cancel.requested:
            raise Cancelled
        return Done(command, code, b"".join(self._taken["stdout"]), b"".join(self._taken["stderr"]))

    def _feed(self, selector: selectors.BaseSelector, pending: memoryview) -> memoryview:
        pipe = self._process.stdin
        assert pipe  # noqa: S101  Popen was given a pipe
        try:
            pending = pending[os.write(pipe.fileno(), pending[:CHUNK]) :]
        except BrokenPipeError:
            pending = pending[:0]
        if not pending:
            selector.unregister(pipe)
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return pending

    def _take(self, stream: str, chunk: bytes) -> None:
        self._taken[stream].append(chunk)
        *lines, self._partial[stream] = (self._partial[stream] + chunk).split(b"\n")
        for line in lines:
            self._line(stream, line)

    def _line(self, stream: str, line: bytes) -> None:
        if text := shown(line):
            self._say.output(stream, text)

    def _too_long(self, total: bool) -> None:  # noqa: FBT001  which of the two clocks ran out
        command = self._command
        limit = f"{command.timeout:.0f} s" if total else f"{command.idle:.0f} s without a word"
        last = (self._taken["stderr"] or self._taken["stdout"] or [b""])[-1].decode(errors="replace").strip()
        raise Problem(f"`{command.argv[0]}` took more than {limit} and was ended", why=f"$ {command.line}\n{last}")


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: asked first, then killed; nothing of it is left when this returns."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
        _signal(process, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
