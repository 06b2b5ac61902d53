"""What runs in a channel of an SSH connection: a command as a `Process`, a socket as a `Stream`; upload progress."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.process import Chunk, StreamName
from slipway.hosts.ssh.remote_scripts import OUTPUT_MARK, PROCESS_GROUP_MARK

if TYPE_CHECKING:
    from paramiko import Channel

GROUP_TIMEOUT = 1.0  # seconds for a command that must be stopped to print its process group, which comes first
LINK_END_TIMEOUT = 1.0  # seconds for a connection that has ended to say so
SEND_TIMEOUT = 0.2  # seconds for the host to accept input
READ_SIZE = 65536
NO_EXIT_STATUS = -1  # paramiko's exit code of a command that ended with its channel, or by a signal
SIGNALLED = 128
PROGRESS_INTERVAL = 1 << 20  # bytes between two progress events


def close_channel(channel: Channel) -> None:
    """Close a channel, which tells the host; one whose connection is gone is closed already."""
    with contextlib.suppress(OSError, EOFError):
        channel.close()


def ended_by_itself(channel: Channel) -> bool:
    """Whether the command of a channel whose output has ended did so too, and not with the connection."""
    channel.status_event.wait(LINK_END_TIMEOUT)
    return channel.exit_status != NO_EXIT_STATUS


class ChannelStream:
    """A channel as a `Stream`: `head` was read from it already, `release` is called once when it is closed.

    Where it ends before anything came, because its command failed, reading raises what `failed` makes of its errors.
    """

    def __init__(
        self, channel: Channel, head: bytes, release: Callable[[], None], failed: Callable[[str], Problem]
    ) -> None:
        self._channel, self._head, self._release, self._failed = channel, head, [release], failed
        self._began = False
        self.sendall, self.shutdown = channel.sendall, channel.shutdown

    def recv(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        data = head or self._channel.recv(size)
        if not data and not self._began and (said := self._channel.recv_stderr(READ_SIZE)):
            raise self._failed(said.decode(errors="replace").strip())
        self._began = True
        return data

    def close(self) -> None:
        close_channel(self._channel)
        while self._release:
            self._release.pop()()


class UploadProgress:
    """A file of `size` bytes whose reading is reported as progress."""

    def __init__(self, file: BinaryIO, size: int, report: Reporter) -> None:
        self._file, self._size, self._report = file, size, report

    def read(self, size: int, /) -> bytes:
        chunk = self._file.read(size)
        position = self._file.tell()
        if position % PROGRESS_INTERVAL < size or not chunk:
            self._report.progress(position, self._size, "bytes")
        return chunk


class RemoteProcess:
    """A `Process` behind a channel in which `remote_scripts.WRAPPER` was started.

    The wrapper prints its process group to standard error and a mark to standard output; neither is part of the output.
    What a login shell prints before the mark is dropped. `signal_group` signals a process group of the host.
    """

    def __init__(self, host: str, channel: Channel, signal_group: Callable[[int, signal.Signals], None]) -> None:
        self.location = f" on {host}"
        self.started = False  # whether the wrapper has said so
        self._channel, self._signal_group = channel, signal_group
        self._stdin_open = True
        self._group = 0
        self._received: list[Chunk] = []
        self._before_mark: dict[StreamName, bytes] = {
            "stdout": b"",
            "stderr": b"",
        }  # of streams whose mark has not come
        channel.settimeout(SEND_TIMEOUT)
        # not select() on the channel: where both sides close at once, paramiko's transport writes to the closed pipe
        # that it makes for that, and the whole connection ends
        self._arrived = threading.Event()
        channel.in_buffer.set_event(self._arrived)
        channel.in_stderr_buffer.set_event(self._arrived)

    def __str__(self) -> str:
        return f"process group {self._group or 'unknown'}"

    def write(self, data: bytes) -> int:
        try:
            return self._channel.send(data)
        except TimeoutError:  # the host accepts nothing at the moment
            return 0

    def close_stdin(self) -> None:
        self._stdin_open = False
        with contextlib.suppress(OSError):
            self._channel.shutdown_write()

    def read(self, seconds: float) -> list[Chunk]:
        self._receive()
        if not self._received and not self._stdin_open:  # otherwise it is `write` that waits
            (self._channel.status_event if self._channel.eof_received else self._arrived).wait(seconds)
            self._receive()
        if self.finished():
            self._received += self._before_mark.items()
            self._before_mark.clear()
        chunks, self._received = self._received, []
        return chunks

    def finished(self) -> bool:
        channel = self._channel
        ended = channel.closed or (bool(channel.eof_received) and channel.exit_status_ready())
        return ended and not (channel.recv_ready() or channel.recv_stderr_ready() or self._received)

    def exit_code(self) -> int:
        """The exit code. A connection that broke is never taken for the command's end: that raises EOFError."""
        channel = self._channel
        code = channel.recv_exit_status() if channel.exit_status_ready() else NO_EXIT_STATUS
        if not channel.eof_received or (code == NO_EXIT_STATUS and self._connection_ended()):
            raise EOFError("the connection ended before the command did")
        return SIGNALLED if code == NO_EXIT_STATUS else code

    def signal(self, number: signal.Signals) -> None:
        deadline = time.monotonic() + GROUP_TIMEOUT
        while not (self._group or self._channel.closed) and time.monotonic() < deadline:
            self._receive()
            time.sleep(0.05)
        if self._group and not self._channel.closed:
            self._signal_group(self._group, number)

    def running(self) -> bool:
        return not self._channel.closed

    def group_running(self) -> bool:
        return not self._channel.closed

    def _connection_ended(self) -> bool:
        """Whether the connection has ended, which paramiko tells a channel a moment before the transport."""
        transport = self._channel.get_transport()
        transport.join(LINK_END_TIMEOUT)
        return not transport.is_active()

    def _receive(self) -> None:
        while self._channel.recv_ready():
            self._append("stdout", self._channel.recv(READ_SIZE))
        while self._channel.recv_stderr_ready():
            self._append("stderr", self._channel.recv_stderr(READ_SIZE))

    def _append(self, stream: StreamName, chunk: bytes) -> None:
        if stream in self._before_mark:
            self._before_mark[stream] += chunk
            mark = PROCESS_GROUP_MARK if stream == "stderr" else OUTPUT_MARK
            before, _, rest = self._before_mark[stream].partition(mark)
            number, newline, rest = rest.partition(b"\n")
            if not newline:
                return  # the mark's line is not complete
            del self._before_mark[stream]
            self.started = True
            if stream == "stderr":
                self._group, rest = int(number.strip() or 0), before + rest
            chunk = rest
        if chunk:
            self._received.append((stream, chunk))
