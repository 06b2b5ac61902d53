"""A machine over SSH, as a `Host`: one verified connection, process groups there, files that go on where they broke."""

from __future__ import annotations

import contextlib
import hashlib
import io
import select
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from slipway.config.models import Hosts
from slipway.errors import Cancelled, ExitCode, Lost, Problem
from slipway.hosts import facts
from slipway.hosts.host import DIRECT, Command, Done, Privilege, Stream, script, shown
from slipway.hosts.loopback import unix
from slipway.hosts.there import ABSENT, BEGIN, DIAL, GROUP, HAVE, RECEIVE, SHORT, WRAPPER, job
from slipway.steps import Cancel, Lane, Probe, Say, silent

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import Channel, Transport

    from slipway.hosts.link import Ask

Rise = tuple[str, tuple[str, ...]]  # what a command needs before it: lines of standard input, and words
End = Callable[[int, str], None]  # signals a process group

GRACE = 3.0  # seconds between SIGTERM and SIGKILL of a cancelled command's group
CHUNK = 32768
NONE = -1  # paramiko's exit code of a command that ended with its channel, or by a signal
SIGNALLED = 128
STRIDE = 1 << 20  # bytes between two words about progress
COMMANDS, STREAMS, ENDS = 4, 4, 2  # at once on one connection, whose MaxSessions is 10 (sshd_config(5))
OPEN = 20  # seconds for the far side to open a channel
REFUSED = 5  # seconds for which a refusal is the answer
RETURN = 120  # seconds that a host which was reached before gets to come back, from when its link broke
RETRY = 1.0  # seconds between two tries
ASKED = 4  # times that a question is asked when the link breaks meanwhile


@dataclass
class Ssh:
    """A host of hosts.yaml. It connects when it is first asked something, and again when the link has broken."""

    name: str
    hosts: Hosts
    ask: Ask
    cancel: Cancel = field(default_factory=Cancel)  # ends what waits for the host
    packages: Lane = field(default_factory=lambda: Lane("the package manager"))
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
                text = self.run(script(facts.SCRIPT, timeout=30), silent(self.cancel)).text
                return facts.parse(text, now=time.time())
            except Lost:
                if attempt == ASKED or self._connection is None:
                    raise
        raise AssertionError  # pragma: no cover  the loop returns or raises

    @cached_property
    def _proxied(self) -> dict[str, str]:
        """The environment of every command there, where the host reaches the world through a proxy."""
        entry = self.hosts.hosts.get(self.name)
        if entry is None or entry.proxy is None:
            return {}
        both = {"http_proxy": entry.proxy, "https_proxy": entry.proxy, "no_proxy": DIRECT}
        return both | {key.upper(): value for key, value in both.items()}

    def close(self) -> None:
        """End the connection, jumps too; the next question makes a new one."""
        from slipway.hosts import link

        with self._lock:
            if self._connection:
                link.close(self._connection)

    def _transport(self) -> Transport:
        with self._lock:
            if self._connection is None:
                self._connection = self._first()
            elif not self._connection.is_connected:
                self._connection = self._again(self._connection)
            return self._open(self._connection)

    def _first(self) -> Connection:
        """The first connection. Who asks again a moment after it was refused gets the same answer."""
        from slipway.hosts import link

        when, refused = self._refused
        if refused and time.monotonic() - when < REFUSED:
            raise refused
        try:
            return link.connect(self.name, self.hosts, self.ask, self.cancel)
        except Problem as problem:
            self._refused = (time.monotonic(), problem)
            raise

    def _again(self, broken: Connection) -> Connection:
        """A new connection in place of a broken one; all who wait for it share the time that it may take."""
        from slipway.hosts import hop, link

        link.close(broken)  # its jumps may be well
        self._broke = self._broke or time.monotonic()
        while True:
            self.cancel.check()
            try:
                made = link.connect(self.name, self.hosts, self.ask, self.cancel)
            except hop.Away:
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

    def _session(self) -> Channel:
        """A new channel; nothing was asked on it yet, so that a broken link is simply made anew."""
        from paramiko import ChannelException, SSHException

        for attempt in range(1, ASKED + 1):
            transport = self._transport()
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

    def _lost(self, error: object = "") -> Lost:
        fix = f"./invoke host.check --host {self.name}; then run the same command again, which goes on"
        return Lost(f"the connection to {self.name} broke", why=str(error), fix=fix)

    def run(self, command: Command, say: Say) -> Done:
        """See `Host.run`. Raises Lost when the link breaks before the command's end is known."""
        return self._run(command, say)

    def _run(self, command: Command, say: Say, source: BinaryIO | None = None) -> Done:
        say.cancel.check()
        rise = self._rise(command.privilege)
        head, line = self._line(job(command) if command.lasting else command, rise)
        streams = [io.BytesIO(head + command.stdin), *([source] if source else [])]
        with self._commands:
            return self._talk(command, line, streams, say, partial(self._end, rise))

    def _talk(self, command: Command, line: str, streams: list[BinaryIO], say: Say, end: End) -> Done:
        from paramiko import SSHException

        channel = self._session()
        try:
            channel.exec_command(line)
            return _Talk(self, channel, command, say, streams, end).finish()
        except (SSHException, OSError, EOFError) as error:
            raise self._lost(error) from error
        finally:
            _shut(channel)

    def _end(self, rise: Rise, group: int, signal: str) -> None:
        """Signal a process group there, beside all that runs; one that is gone already is fine."""
        command = Command(("kill", f"-{signal}", "--", f"-{group}"), timeout=10)
        head, line = self._line(command, rise)
        with contextlib.suppress(Problem, Cancelled), self._ends:
            self._talk(command, line, [io.BytesIO(head)], silent(), lambda *_: None)

    def _rise(self, privilege: Privilege) -> Rise:
        """What a command needs before it to run as somebody: lines of standard input, and words."""
        if privilege is Privilege.USER or (known := self.probe.facts()).root:
            return "", ()
        if known.sudo == "nopasswd":
            return "", ("sudo", "-n", "--")
        return f"{self._password()}\n", ("sudo", "-k", "-S", "-p", "", "--")

    def _line(self, command: Command, rise: Rise) -> tuple[bytes, str]:
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
            fix = f"install sudo there and allow {known.user} to use it, or log in as root"
            raise Problem(f"{self.name} has no sudo, and {known.user} is not root", fix=fix, code=ExitCode.USAGE)
        password = self.ask("sudo", self.name)
        tried = Command(("sudo", "-k", "-S", "-p", "", "--", "true"), stdin=f"{password}\n".encode(), timeout=30)
        done = self._run(tried, silent(self.cancel))
        if done.exit:
            fix = f"is it {known.user}'s, and may {known.user} use sudo there? sudo -v tells"
            why = done.stderr.decode(errors="replace").strip()
            raise Problem(f"{self.name}: sudo did not accept the password", why=why, fix=fix, code=ExitCode.USAGE)
        return password

    def put(self, content: bytes, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """See `Host.put`."""
        words = (path, f"{mode:o}", hashlib.sha256(content).hexdigest())
        self._receive(io.BytesIO(content), words, len(content), 0, privilege, say).checked(*self._unwritten(path))

    def send(self, source: Path, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """See `Host.send`."""
        with source.open("rb") as file:
            size, sha256 = source.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
            words = (path, f"{mode:o}", sha256)
            have = Command(("sh", "-c", HAVE, "sh", *words), privilege=privilege, timeout=120)
            for attempt in range(1, ASKED + 1):
                found = self.run(have, replace(say, emit=lambda _: None))
                text = found.checked(f"{path} of {self.name} could not be read").text.strip()
                if text == "whole":
                    return
                begin = file.seek(min(int(text), size))
                if begin:
                    say.note(f"{source.name}: goes on at {begin / 2**20:.0f} of {size / 2**20:.0f} MiB")
                counted: BinaryIO = _Counted(file, size, say)  # type: ignore[assignment]
                done = self._receive(counted, words, size, begin, privilege, say)
                if done.exit != SHORT or attempt == ASKED:  # short: somebody else goes on with it, or is through
                    done.checked(*self._unwritten(path))
                    return

    def _receive(
        self, source: BinaryIO, words: tuple[str, ...], size: int, begin: int, privilege: Privilege, say: Say
    ) -> Done:
        argv = ("sh", "-c", RECEIVE, "sh", *words, str(size), str(begin))
        return self._run(Command(argv, privilege=privilege, timeout=3600), say, source)

    def _unwritten(self, path: str) -> tuple[str, str]:
        return f"{path} of {self.name} could not be written", "make room there, or check the rights"

    def get(self, path: str, say: Say) -> bytes:
        """See `Host.get`."""
        done = self.run(Command(("cat", "--", path), timeout=120), replace(say, emit=lambda _: None))
        return done.checked(f"{path} of {self.name} could not be read").stdout

    @contextmanager
    def lend(self, source: Path, say: Say) -> Iterator[str]:
        """See `Host.lend`."""
        place = f"{self.probe.facts().home}/.cache/slipway/{source.name}"
        self.send(source, place, 0o600, Privilege.USER, say)
        try:
            yield place
        finally:
            with contextlib.suppress(Problem):
                self.run(Command(("rm", "-f", place), timeout=30), silent())

    @contextmanager
    def forward(self, target: str) -> Iterator[str]:
        """See `Host.forward`."""

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

        channel = self._session()
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
            _shut(channel)
            raise self._lost(error) from error
        return _Limited(channel, head.partition(BEGIN + b"\n")[2], self._streams.release)

    def dial(self, address: str, port: int) -> Stream:
        """See `Host.dial`."""
        from paramiko import SSHException

        try:
            return self._transport().open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=OPEN)
        except (SSHException, OSError, EOFError) as error:
            what = f"{address}:{port} does not answer on {self.name}"
            raise Problem(what, why=str(error), code=ExitCode.UNREACHABLE) from error


def _shut(channel: Channel) -> None:
    """Close a channel, which says so to the far side; one whose link is gone is closed."""
    with contextlib.suppress(OSError, EOFError):
        channel.close()


class _Limited:
    """A channel of which something was read already, and that gives its place back when it is closed, once."""

    def __init__(self, channel: Channel, head: bytes, free: Callable[[], None]) -> None:
        self._channel, self._head, self._free = channel, head, [free]
        self.sendall, self.shutdown = channel.sendall, channel.shutdown

    def recv(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head or self._channel.recv(size)

    def close(self) -> None:
        _shut(self._channel)
        while self._free:
            self._free.pop()()


class _Counted:
    """A file whose reading is shown as progress."""

    def __init__(self, file: BinaryIO, size: int, say: Say) -> None:
        self._file, self._size, self._say = file, size, say

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        done = self._file.tell()
        if done % STRIDE < size or not chunk:
            self._say.progress(done, self._size, "bytes")
        return chunk


class _Talk:
    """Feeds a remote command, passes its lines on, and watches the clock, the run's cancellation and the link."""

    def __init__(
        self, host: Ssh, channel: Channel, command: Command, say: Say, streams: list[BinaryIO], end: End
    ) -> None:
        self._host, self._channel, self._command, self._say = host, channel, command, say
        self._streams, self._end = streams, end
        self._pending = b""
        self._taken: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._group = 0  # the remote process group
        self._heads = {"stdout": b"", "stderr": b""}  # what came before the wrapper spoke, where it has not yet
        self._heard = time.monotonic()

    def finish(self) -> Done:
        channel, command = self._channel, self._command
        channel.settimeout(0.2)
        deadline = time.monotonic() + command.timeout
        feeding = True
        while True:
            moved = self._read()
            feeding = feeding and self._feed()
            if channel.closed or (channel.eof_received and channel.exit_status_ready()):
                if not self._read():
                    break
                continue
            now = time.monotonic()
            if self._say.cancel.requested:
                self._stop()
                raise Cancelled
            if now > deadline or (command.idle is not None and now - self._heard > command.idle):
                self._stop()
                self._too_long(now > deadline)
            if not moved and not feeding:
                select.select([channel], [], [], 0.1)
        for stream, head in self._heads.items():
            self._taken[stream].append(head)
            self._partial[stream] += head
        for stream, rest in self._partial.items():
            self._line(stream, rest)
        code = channel.recv_exit_status() if channel.exit_status_ready() else NONE
        if code == NONE and not channel.get_transport().is_active():
            raise self._host._lost("before the command's end was known")  # noqa: SLF001  its own conversation
        out, err = (b"".join(self._taken[stream]) for stream in ("stdout", "stderr"))
        if code == 127 and ABSENT in err:
            name, host = command.argv[0], self._host.name
            raise Problem(f"{name} is not on {host}", fix=f"./invoke setup --host {host}, or --env E")
        return Done(command, SIGNALLED if code == NONE else code, out, err)

    def _read(self) -> bool:
        channel, moved = self._channel, False
        while channel.recv_ready():
            self._take("stdout", channel.recv(65536))
            moved = True
        while channel.recv_stderr_ready():
            self._take("stderr", channel.recv_stderr(65536))
            moved = True
        return moved

    def _feed(self) -> bool:
        """Send a piece of standard input; whether there is more."""
        while not self._pending:
            if not self._streams:
                with contextlib.suppress(OSError):
                    self._channel.shutdown_write()
                return False
            self._pending = self._streams[0].read(CHUNK)
            if not self._pending:
                self._streams.pop(0)
        try:
            self._pending = self._pending[self._channel.send(self._pending) :]
        except TimeoutError:
            return True  # the far side takes nothing just now
        except OSError:
            self._streams.clear()  # it has ended, or reads no more
            self._pending = b""
        self._heard = time.monotonic()
        return True

    def _take(self, stream: str, chunk: bytes) -> None:
        self._heard = time.monotonic()
        if stream in self._heads:
            self._heads[stream] += chunk
            before, _, rest = self._heads[stream].partition(GROUP if stream == "stderr" else BEGIN)
            number, whole, rest = rest.partition(b"\n")
            if not whole:
                return  # the wrapper's own line has not come yet
            del self._heads[stream]
            if stream == "stderr":
                self._group, rest = int(number.strip() or 0), before + rest
            chunk = rest
        self._taken[stream].append(chunk)
        *lines, self._partial[stream] = (self._partial[stream] + chunk).split(b"\n")
        for line in lines:
            self._line(stream, line)

    def _line(self, stream: str, line: bytes) -> None:
        if text := shown(line):
            self._say.output(stream, text)

    def _stop(self) -> None:
        """End the whole remote group: asked first, then killed. A job goes on; only its following ends."""
        command = self._command
        if command.lasting:
            self._say.note(f"`{command.argv[0]}` goes on on {self._host.name}; the same command follows it")
        if not self._group:
            return
        self._end(self._group, "TERM")
        deadline = time.monotonic() + GRACE
        while not self._channel.closed and time.monotonic() < deadline:
            time.sleep(0.05)
        if not self._channel.closed:
            self._end(self._group, "KILL")

    def _too_long(self, total: bool) -> None:  # noqa: FBT001  which of the two clocks ran out
        command = self._command
        limit = f"{command.timeout:.0f} s" if total else f"{command.idle:.0f} s without a word"
        last = (self._taken["stderr"] or self._taken["stdout"] or [b""])[-1].decode(errors="replace").strip()
        what = f"`{command.argv[0]}` took more than {limit} on {self._host.name} and was ended"
        raise Problem(what, why=f"$ {command.line}\n{last}")
