"""One conversation over SSH: a command fed, heard and timed; a channel as a stream; a file whose sending is shown."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from slipway.engine.steps import Reporter
from slipway.errors import Cancelled, Problem
from slipway.hosts.host import Command, Result, shown
from slipway.hosts.ssh.remote_scripts import ABSENT, BEGIN, GROUP

if TYPE_CHECKING:
    from paramiko import Channel

End = Callable[[int, str], None]  # signals a process group

GRACE = 3.0  # seconds between SIGTERM and SIGKILL of a cancelled command's group
BEGUN = 1.0  # seconds for a command that is to end to say its group, which is the first thing it says
ENDING = 1.0  # seconds for a link that has ended to say so
CHUNK = 32768
NONE = -1  # paramiko's exit code of a command that ended with its channel, or by a signal
SIGNALLED = 128
STRIDE = 1 << 20  # bytes between two words about progress


def shut(channel: Channel) -> None:
    """Close a channel, which says so to the far side; one whose link is gone is closed."""
    with contextlib.suppress(OSError, EOFError):
        channel.close()


class Limited:
    """A channel of which something was read already, and that gives its place back when it is closed, once."""

    def __init__(self, channel: Channel, head: bytes, free: Callable[[], None]) -> None:
        self._channel, self._head, self._free = channel, head, [free]
        self.sendall, self.shutdown = channel.sendall, channel.shutdown

    def recv(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head or self._channel.recv(size)

    def close(self) -> None:
        shut(self._channel)
        while self._free:
            self._free.pop()()


class UploadProgress:
    """A file whose reading is shown as progress."""

    def __init__(self, file: BinaryIO, size: int, report: Reporter) -> None:
        self._file, self._size, self._say = file, size, report

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        done = self._file.tell()
        if done % STRIDE < size or not chunk:
            self._say.progress(done, self._size, "bytes")
        return chunk


class Talk:
    """Feeds a remote command, passes its lines on, and watches the clock, the run's cancellation and the link."""

    def __init__(
        self, host: str, channel: Channel, command: Command, report: Reporter, streams: list[BinaryIO], end: End
    ) -> None:
        self._host, self._channel, self._command, self._say = host, channel, command, report
        self._streams, self._end = streams, end
        self._pending = b""
        self._taken: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._partial: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self._group = 0  # the remote process group
        self._heads = {"stdout": b"", "stderr": b""}  # what came before the wrapper spoke, where it has not yet
        self._heard = time.monotonic()
        # not select() on the channel: where both sides close at once, paramiko's transport writes to the closed pipe
        # that it makes for that, and the whole connection ends
        self._news = threading.Event()
        channel.in_buffer.set_event(self._news)
        channel.in_stderr_buffer.set_event(self._news)

    def finish(self) -> Result:
        """Talk until the command has ended. Raises EOFError when the link breaks before its end is known."""
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
            if now > deadline:
                self._stop()
                raise self._too_long(f"{command.timeout:.0f} s")
            if command.idle is not None and now - self._heard > command.idle:
                self._stop()
                raise self._too_long(f"{command.idle:.0f} s without a word")
            if not moved and not feeding:
                (channel.status_event if channel.eof_received else self._news).wait(0.1)
        for stream, head in self._heads.items():
            self._taken[stream].append(head)
            self._partial[stream] += head
        for stream, rest in self._partial.items():
            self._line(stream, rest)
        code = channel.recv_exit_status() if channel.exit_status_ready() else NONE
        if not channel.eof_received or (code == NONE and self._cut()):
            raise EOFError("before the command's end was known")
        out, err = (b"".join(self._taken[stream]) for stream in ("stdout", "stderr"))
        if code == 127 and ABSENT in err:
            name, host = command.argv[0], self._host
            raise Problem(f"{name} is not on {host}", hint=f"./invoke setup --host {host}, or --env E")
        return Result(command, SIGNALLED if code == NONE else code, out, err)

    def _cut(self) -> bool:
        """Whether the link has ended, which paramiko tells a channel a moment before it says so of itself."""
        transport = self._channel.get_transport()
        transport.join(ENDING)
        return not transport.is_active()

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
        if command.resumable:
            self._say.note(f"`{command.argv[0]}` goes on on {self._host}; the same command follows it")
        deadline = time.monotonic() + BEGUN
        while not (self._group or self._channel.closed) and time.monotonic() < deadline:
            if not self._read():
                time.sleep(0.05)
        if not self._group:
            return
        self._end(self._group, "TERM")
        deadline = time.monotonic() + GRACE
        while not self._channel.closed and time.monotonic() < deadline:
            time.sleep(0.05)
        if not self._channel.closed:
            self._end(self._group, "KILL")

    def _too_long(self, limit: str) -> Problem:
        command = self._command
        last = (self._taken["stderr"] or self._taken["stdout"] or [b""])[-1].decode(errors="replace").strip()
        summary = f"`{command.argv[0]}` took more than {limit} on {self._host} and was ended"
        return Problem(summary, details=f"$ {command.line}\n{last}")
