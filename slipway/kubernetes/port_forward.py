"""`kubectl port-forward` behind a loopback port of this machine, started again when its pod is gone."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import Cancelled, NextCommand, Problem
from slipway.hosts.host import Command, Host, Stream
from slipway.hosts.tunnels import tunnel

START = 15.0  # seconds for kubectl to listen
DAY = 86400.0
POLL = 0.05  # seconds between two looks at whether it listens
# Ends with whoever started it, however that went: a killed process, or a connection that broke.
WATCHED = """"$@" & k=$!; trap 'kill $k 2>/dev/null' EXIT; trap 'exit 143' TERM INT
while kill -0 $PPID 2>/dev/null && kill -0 $k 2>/dev/null; do sleep 0.3; done"""


@contextmanager
def port_forward(host: Host, kubectl: Sequence[str], port: int | None) -> Iterator[int]:
    """Keep kubectl's port-forward running on `host`; yields the loopback port of this machine.

    Raises Problem when kubectl does not listen in time, and UsageError when `port` is taken.
    """
    forwarder = _Forwarder(host, kubectl)
    thread = threading.Thread(target=forwarder.run, daemon=True)
    with tunnel(port or 0, forwarder.connect) as local:
        thread.start()
        try:
            forwarder.connect().close()
            yield local
        finally:
            forwarder.cancel.request()
            thread.join(5)


class _Forwarder:
    """A kubectl that is started again whenever it ends; `_port` is the one it listens on, 0 while it does not."""

    def __init__(self, host: Host, kubectl: Sequence[str]) -> None:
        self.cancel = Cancel()
        self._host, self._kubectl = host, kubectl
        self._port = 0
        self._output: deque[str] = deque(maxlen=20)

    def run(self) -> None:
        command = Command(("sh", "-c", WATCHED, "sh", *self._kubectl), timeout=DAY)
        while not self.cancel.requested:
            try:
                self._host.run(command, Reporter("", self._read, self.cancel))
            except Cancelled:
                return
            except Problem as problem:
                self._output.append(str(problem))
            self._port = 0
            time.sleep(0.5)

    def connect(self) -> Stream:
        """A connection to the port on which kubectl listens, as soon as it does."""
        deadline = time.monotonic() + START
        while not self._port:
            if time.monotonic() > deadline or self.cancel.requested:
                details = "\n".join(self._output)
                raise Problem("kubectl port-forward did not start", details=details, commands=[NextCommand("status")])
            time.sleep(POLL)
        return self._host.open_tcp("127.0.0.1", self._port)

    def _read(self, event: Event) -> None:
        if isinstance(event, Output):
            self._output.append(event.text)
            if found := re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", event.text):
                self._port = int(found[1])
