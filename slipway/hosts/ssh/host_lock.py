"""A lock on an SSH host: `flock` there, held by a small program for as long as it hears of this one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled, Problem
from slipway.hosts.host import Stream
from slipway.hosts.ssh.remote_scripts import OUTPUT_MARK

BEAT = 5.0  # seconds between two signs of life; the program on the host waits six times as long
PATIENCE = 1.0  # seconds that the end of a run waits for a sign of life that is being sent: the connection may be gone
HELD, WAITS = b"held", b"waits"

# Takes the lock that $1 names between all users of the host, as hosts/locks.py does there, and holds it until there was
# no byte of standard input for half a minute, or its end. A file of another user must not be opened with O_CREAT.
HOLD = f"""echo {OUTPUT_MARK.decode()}; f=/run/lock; [ -k "$f" ] && [ -w "$f" ] || f=/tmp; f=$f/slipway-$1.lock
[ -e "$f" ] || (umask 0; set -C; : >"$f") 2>/dev/null
[ -f "$f" ] && [ ! -L "$f" ] || {{ echo "$f is no regular file" >&2; exit 1; }}
exec 9<"$f" || exit 1
flock -n 9 || {{ echo {WAITS.decode()}; flock 9; }}
echo {HELD.decode()}
while [ "$(timeout 30 head -c 1)" ]; do :; done"""

Dial = Callable[[], Stream]


@contextmanager
def held(dial: Dial, on_wait: Callable[[], None], on_lost: Callable[[], None], cancel: Cancel) -> Iterator[None]:
    """Hold the lock of the program that `dial` starts. `on_wait` is called where another run has it.

    A connection that broke is made again. Where another run has taken the lock meanwhile, `on_lost` is called.

    Raises Cancelled, and Problem where the lock can't be taken.
    """
    holder = _Holder(dial, on_lost, _taken(dial, on_wait, cancel))
    beating = threading.Thread(target=holder.beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        holder.ended.set()
        beating.join(PATIENCE)
        _close(holder.stream)


def _taken(dial: Dial, on_wait: Callable[[], None], cancel: Cancel) -> Stream:
    """A stream to a program that has the lock."""
    stream = dial()
    said, told = b"", False
    forget = cancel.on_request(partial(_close, stream))
    try:
        while HELD not in said:
            data = b""
            with contextlib.suppress(OSError, EOFError):
                data = stream.recv(64)
            cancel.check()
            if not data:
                raise Problem("the lock on the host was not given", details=said.decode(errors="replace"))
            said += data
            if WAITS in said and not told:
                told = True
                on_wait()
    except BaseException:
        _close(stream)
        raise
    finally:
        forget()
    return stream


def _close(stream: Stream) -> None:
    """Close a stream, so that who reads it hears of it."""
    with contextlib.suppress(OSError, EOFError):
        stream.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError, EOFError):
        stream.close()


@dataclass
class _Holder:
    """Keeps a lock until `ended`."""

    dial: Dial
    on_lost: Callable[[], None]
    stream: Stream

    def __post_init__(self) -> None:
        self.ended = threading.Event()

    def beat(self) -> None:
        """Send a sign of life again and again; over a new connection where it broke."""
        while not self.ended.wait(BEAT):
            try:
                self.stream.sendall(b".")
            except (OSError, EOFError):
                _close(self.stream)
                if not self._took_again():
                    self.on_lost()
                    return

    def _took_again(self) -> bool:
        """Whether the lock is held over a new connection, which no other run had in between."""
        stop = Cancel()
        try:
            self.stream = _taken(self.dial, stop.request, stop)
        except (Problem, Cancelled, OSError, EOFError):
            return False
        return True
