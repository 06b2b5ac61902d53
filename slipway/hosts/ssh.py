"""A machine over SSH, as a `Host`: one verified connection, process groups there, files that go on where they broke."""

from __future__ import annotations

import contextlib
import hashlib
import io
import select
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from slipway.config.models import Hosts
from slipway.errors import Cancelled, ExitCode, Lost, Problem
from slipway.hosts import facts
from slipway.hosts.host import DIRECT, Command, Done, Privilege, Stream, script, shown
from slipway.hosts.loopback import unix
from slipway.steps import Lane, Probe, Say, silent

if TYPE_CHECKING:
    from fabric import Connection
    from paramiko import Channel, Transport

    from slipway.hosts.link import Ask

GRACE = 3.0  # seconds between SIGTERM and SIGKILL of a cancelled command's group
CHUNK = 32768
NONE = -1  # paramiko's exit code of a command that ended with its channel, or by a signal
SIGNALLED = 128
STRIDE = 1 << 20  # bytes between two words about progress
SESSIONS = 5  # commands, and as many streams to Docker, at once on one connection: OpenSSH's MaxSessions is 10
OPEN = 20  # seconds for the far side to open a channel
REFUSED = 5  # seconds for which a refusal is the answer
RETURN = 120  # seconds that a host which was reached before gets to come back
ASKED = 4  # times that a question is asked when the link breaks meanwhile
GROUP, ABSENT = b"slipway:group=", b"slipway:absent"

# Says its process group, takes its environment from standard input, goes to a folder, and becomes the command.
WRAPPER = f"""read -r _ _ _ _ g _ </proc/$$/stat; echo {GROUP.decode()}$g >&2
n=$1; shift; while [ "$n" -gt 0 ]; do IFS= read -r v; export "$v"; n=$((n-1)); done
[ -z "$1" ] || cd "$1" || exit 111; shift
command -v "$1" >/dev/null 2>&1 || {{ echo {ABSENT.decode()} >&2; exit 127; }}
exec "$@" """

# $1 names a job; the rest is its command. It goes on when the connection ends; whoever comes meanwhile follows it.
JOB = r"""umask 077; if [ "$(id -u)" = 0 ]; then d=/run/slipway/$1; else d=$HOME/.cache/slipway/jobs/$1; fi
shift; mkdir -p "${d%/*}" || exit 111
if mkdir "$d" 2>/dev/null; then mine=1; else mine=; sleep 0.3; fi
p=$(cat "$d/pid" 2>/dev/null)
if [ -z "$mine" ] && [ -n "$p" ] && [ -d "/proc/$p" ]; then
  echo 'slipway: the same command runs there already, and is followed' >&2
else
  [ -n "$mine" ] || { rm -rf "$d"; mkdir "$d"; } || exit 111
  : >"$d/out"; : >"$d/err"; cat >"$d/in" || exit 111
  setsid sh -c 'd=$0; trap "" HUP; "$@" <"$d/in" >>"$d/out" 2>>"$d/err"; echo $? >"$d/code"; mv "$d/code" "$d/exit"' \
    "$d" "$@" </dev/null >/dev/null 2>&1 &
  p=$!; echo $p >"$d/pid"
fi
tail -c +1 -s 0.1 -f --pid="$p" "$d/err" >&2 &
tail -c +1 -s 0.1 -f --pid="$p" "$d/out"
wait; code=$(cat "$d/exit") || exit 112
exit "$code"
"""

# Puts what comes behind $1's part file ($3: its sha256), and when that is whole in the place of $1 with mode $2.
RECEIVE = """umask 022; t=$1.$3.part; mkdir -p "$(dirname "$1")" && umask 077 && cat >>"$t" || exit 111
[ "$(sha256sum <"$t" | cut -c1-64)" = "$3" ] || { echo "it came through damaged" >&2; rm -f "$t"; exit 113; }
chmod "$2" "$t" && sync "$t" && mv -f "$t" "$1" """
# How much of that is there: `whole` if it is the file already (mode $2 is set then), else the part's size.
HAVE = """if [ "$(sha256sum <"$1" 2>/dev/null | cut -c1-64)" = "$3" ]; then chmod "$2" "$1" && echo whole
else stat -c %s "$1.$3.part" 2>/dev/null || echo 0; fi"""


@dataclass
class Ssh:
    """A host of hosts.yaml. It connects when it is first asked something, and again when the link has broken."""

    name: str
    hosts: Hosts
    ask: Ask
    packages: Lane = field(default_factory=lambda: Lane("the package manager"))
    probe: Probe[facts.Facts] = field(init=False)
    _connection: Connection | None = None
    _refused: tuple[float, Problem | None] = (0.0, None)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _sessions: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(SESSIONS))
    _streams: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(SESSIONS))

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
                text = self.run(script(facts.SCRIPT, timeout=30), silent()).text
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
        """End the connection; the next question makes a new one."""
        with self._lock:
            if self._connection and self._connection.is_connected:
                sock = self._open(self._connection).sock
                if isinstance(sock, socket.socket):
                    with contextlib.suppress(OSError):
                        sock.shutdown(socket.SHUT_RDWR)  # its reader ends at once, not when it looks next
                self._connection.client.close()

    def _transport(self) -> Transport:
        from slipway.hosts import link

        with self._lock:
            if self._connection is None:
                self._connection = self._first()
            elif not self._connection.is_connected:
                import stamina

                for attempt in stamina.retry_context(on=link.Away, attempts=100, timeout=RETURN, wait_max=3.0):
                    with attempt:
                        self._connection = link.connect(self.name, self.hosts, self.ask)
            return self._open(self._connection)

    def _first(self) -> Connection:
        """The first connection. Who asks again a moment after it was refused gets the same answer."""
        from slipway.hosts import link

        when, refused = self._refused
        if refused and time.monotonic() - when < REFUSED:
            raise refused
        try:
            return link.connect(self.name, self.hosts, self.ask)
        except Problem as problem:
            self._refused = (time.monotonic(), problem)
            raise

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
        from paramiko import SSHException

        say.cancel.check()
        head, line = self._line(_job(command) if command.lasting else command)
        with self._sessions:
            channel = self._session()
            try:
                channel.exec_command(line)
                streams = [io.BytesIO(head + command.stdin), *([source] if source else [])]
                return _Talk(self, channel, command, say, streams).finish()
            except (SSHException, OSError, EOFError) as error:
                raise self._lost(error) from error
            finally:
                channel.close()

    def _line(self, command: Command) -> tuple[bytes, str]:
        """What standard input begins with, and the line for the login shell; no secret is in the line."""
        env = [f"{key}={value}" for key, value in {**self._proxied, **(command.env or {})}.items()]
        words = ["sh", "-c", WRAPPER, "sh", str(len(env)), command.cwd or "", *command.argv]
        head = "".join(f"{line}\n" for line in env)
        if command.privilege is Privilege.ROOT and not (known := self.probe.facts()).root:
            if known.sudo == "nopasswd":
                words = ["sudo", "-n", "--", *words]
            else:
                words = ["sudo", "-k", "-S", "-p", "", "--", *words]
                head = f"{self._password}\n{head}"
        return head.encode(), "exec " + shlex.join(words)

    @cached_property
    def _password(self) -> str:
        """The sudo password, tried once before anything relies on it. Raises Problem if sudo is absent or refuses."""
        known = self.probe.facts()
        if not known.sudo:
            fix = f"install sudo there and allow {known.user} to use it, or log in as root"
            raise Problem(f"{self.name} has no sudo, and {known.user} is not root", fix=fix, code=ExitCode.USAGE)
        password = self.ask("sudo", self.name)
        tried = Command(("sudo", "-k", "-S", "-p", "", "--", "true"), stdin=f"{password}\n".encode(), timeout=30)
        done = self._run(tried, silent())
        if done.exit:
            fix = f"is it {known.user}'s, and may {known.user} use sudo there? sudo -v tells"
            why = done.stderr.decode(errors="replace").strip()
            raise Problem(f"{self.name}: sudo did not accept the password", why=why, fix=fix, code=ExitCode.USAGE)
        return password

    def put(self, content: bytes, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """See `Host.put`."""
        self._receive(io.BytesIO(content), hashlib.sha256(content).hexdigest(), path, mode, privilege, say)

    def send(self, source: Path, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        """See `Host.send`."""
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = source.stat().st_size
        words = ("sh", "-c", HAVE, "sh", path, f"{mode:o}", sha256)
        have = self.run(Command(words, privilege=privilege, timeout=120), replace(say, emit=lambda _: None))
        text = have.checked(f"{path} of {self.name} could not be read").text.strip()
        if text == "whole":
            return
        with source.open("rb") as file:
            file.seek(min(int(text), size))
            if int(text):
                say.note(f"{source.name}: goes on at {int(text) / 2**20:.0f} of {size / 2**20:.0f} MiB")
            self._receive(_Counted(file, size, say), sha256, path, mode, privilege, say)  # type: ignore[arg-type]

    def _receive(self, source: BinaryIO, sha256: str, path: str, mode: int, privilege: Privilege, say: Say) -> None:
        words = ("sh", "-c", RECEIVE, "sh", path, f"{mode:o}", sha256)
        done = self._run(Command(words, privilege=privilege, timeout=3600), say, source)
        done.checked(f"{path} of {self.name} could not be written", "make room there, or check the rights")

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
        """See `Host.forward`: Docker's own client there passes the socket on, as it does for DOCKER_HOST=ssh://."""
        from paramiko import SSHException

        def dial() -> Stream:
            self._streams.acquire()
            try:
                channel = self._session()
            except Problem:
                self._streams.release()
                raise
            stream = _Limited(channel, self._streams.release)
            try:
                channel.exec_command(shlex.join(["docker", "--host", f"unix://{target}", "system", "dial-stdio"]))
            except SSHException as error:
                stream.close()
                raise self._lost(error) from error
            return stream

        with unix(dial) as path:
            yield path

    def dial(self, address: str, port: int) -> Stream:
        """See `Host.dial`."""
        from paramiko import SSHException

        try:
            return self._transport().open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=OPEN)
        except (SSHException, OSError, EOFError) as error:
            what = f"{address}:{port} does not answer on {self.name}"
            raise Problem(what, why=str(error), code=ExitCode.UNREACHABLE) from error

    def end(self, group: int, signal: str, privilege: Privilege) -> None:
        """Signal a process group there; one that is gone already is fine."""
        command = Command(("kill", f"-{signal}", "--", f"-{group}"), privilege=privilege, timeout=10)
        with contextlib.suppress(Problem):
            self.run(command, silent())


def _job(command: Command) -> Command:
    """The command as a job: named by what it does, so that the same one is never started beside itself."""
    name = hashlib.sha256(repr((command.argv, command.stdin, sorted((command.env or {}).items()))).encode())
    return replace(command, argv=("sh", "-c", JOB, "sh", name.hexdigest()[:16], *command.argv))


class _Limited:
    """A channel that gives its place back when it is closed, once."""

    def __init__(self, channel: Channel, free: Callable[[], None]) -> None:
        self._channel, self._free = channel, [free]
        self.recv, self.sendall, self.shutdown = channel.recv, channel.sendall, channel.shutdown

    def close(self) -> None:
        self._channel.close()
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

    def __init__(self, host: Ssh, channel: Channel, command: Command, say: Say, streams: list[BinaryIO]) -> None:
        self._host, self._channel, self._command, self._say = host, channel, command, say
        self._streams = streams
        self._pending = b""
        self._taken: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._group, self._head = 0, b""  # the remote process group, and what came before it was said
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
        self._taken["stderr"].append(self._head)
        self._partial["stderr"] += self._head
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
        if stream == "stderr" and not self._group:
            self._head += chunk
            before, _, rest = self._head.partition(GROUP)
            number, whole, rest = rest.partition(b"\n")
            if not whole:
                return  # the wrapper's own line has not come yet
            self._group, self._head = int(number), b""
            chunk = before + rest
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
        self._host.end(self._group, "TERM", command.privilege)
        deadline = time.monotonic() + GRACE
        while not self._channel.closed and time.monotonic() < deadline:
            time.sleep(0.05)
        if not self._channel.closed:
            self._host.end(self._group, "KILL", command.privilege)

    def _too_long(self, total: bool) -> None:  # noqa: FBT001  which of the two clocks ran out
        command = self._command
        limit = f"{command.timeout:.0f} s" if total else f"{command.idle:.0f} s without a word"
        last = (self._taken["stderr"] or self._taken["stdout"] or [b""])[-1].decode(errors="replace").strip()
        what = f"`{command.argv[0]}` took more than {limit} on {self._host.name} and was ended"
        raise Problem(what, why=f"$ {command.line}\n{last}")
