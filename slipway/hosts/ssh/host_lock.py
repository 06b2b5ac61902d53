"""A lock on an SSH host: `flock` there, held by a small program for as long as it hears of this one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled, Problem
from slipway.hosts.host import Stream
from slipway.hosts.ssh.remote_scripts import OUTPUT_MARK

BEAT = 5.0  # seconds between two signs of life; the program on the host waits six times as long
PATIENCE = 1.0  # seconds that the end of a run waits for a sign of life that is being sent: the connection may be gone
HELD, WAITS = b"held", b"waits"

# Takes the lock that $1 names between all users of the host, as hosts/locks.py does there, writes its owner $2 into it,
# and holds it until there was no byte of standard input for half a minute, or its end. Whoever waits is told the owner;
# the same owner, whose connection broke, is not: what held it before ends soon. Who has just taken it may not have
# written its owner yet: that is looked at again. Others' files are opened, not created.
HOLD = f"""echo {OUTPUT_MARK.decode()}; f=/run/lock; [ -k "$f" ] && [ -w "$f" ] || f=/tmp; f=$f/slipway-$1.lock
[ -e "$f" ] || (umask 0; set -C; : >"$f") 2>/dev/null
[ -f "$f" ] && [ ! -L "$f" ] || {{ echo "$f is no regular file" >&2; exit 1; }}
exec 9<"$f" || exit 1; told=; looked=
until flock -n 9; do
  o=$(head -c 200 "$f")
  [ "$o" = "$2" ] || [ "$told" ] || [ -z "$o$looked" ] || {{ echo "{WAITS.decode()} $o"; told=1; }}
  looked=1
  sleep 1
done
printf %s "$2" | dd of="$f" conv=nocreat 2>/dev/null
echo {HELD.decode()}
while [ "$(timeout 30 head -c 1)" ]; do :; done"""

Dial = Callable[[], Stream]
Told = Callable[[str], None]


@contextmanager
def held(dial: Dial, on_wait: Told, on_lost: Told, cancel: Cancel) -> Iterator[None]:
    """Hold the lock of the program that `dial` starts. `on_wait` is called with the owner that is waited for.

    A connection that broke is made again. Where that fails, or another run has the lock by then, `on_lost` is told why.

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


def _taken(dial: Dial, on_wait: Told, cancel: Cancel) -> Stream:
    """A stream to a program that has the lock."""
    stream = dial()
    said = b""
    forget = cancel.on_request(partial(_close, stream))
    try:
        while not said.endswith(HELD + b"\n"):
            data = b""
            with contextlib.suppress(OSError, EOFError):
                data = stream.recv(256)
            cancel.check()
            if not data:
                raise Problem("the lock on the host was not given", details=said.decode(errors="replace"))
            said += data
            if said.startswith(WAITS) and said.endswith(b"\n") and said.count(b"\n") == 1:
                owner = said.removeprefix(WAITS).decode(errors="replace")
                on_wait("".join(filter(str.isprintable, owner)).strip() or "another run")
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
    on_lost: Told
    stream: Stream
    ended: threading.Event = field(default_factory=threading.Event)

    def beat(self) -> None:
        """Send a sign of life again and again; over a new connection where it broke."""
        while not self.ended.wait(BEAT):
            try:
                self.stream.sendall(b".")
            except (OSError, EOFError):
                _close(self.stream)
                if (lost := self._take_again()) and not self.ended.is_set():
                    self.on_lost(lost)
                    return

    def _take_again(self) -> str:
        """Take the lock over a new connection; why not, if another run has it, or there is no connection."""
        stop, others = Cancel(), list[str]()

        def taken_by(owner: str) -> None:
            others.append(f"{owner} has it")
            stop.request()

        try:
            self.stream = _taken(self.dial, taken_by, stop)
        except (Problem, Cancelled, OSError, EOFError) as error:
            return others[0] if others else getattr(error, "summary", str(error))
        if self.ended.is_set():
            _close(self.stream)
        return ""
