"""`kubectl port-forward` behind loopback ports of this machine, started again when its pod is gone."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

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
    """Keep kubectl's port-forward of one port running on `host`; yields the loopback port of this machine.

    Raises Problem when kubectl does not listen in time, and UsageError when `port` is taken.
    """
    forwarder = _Forwarder(host, kubectl)
    with tunnel(port or 0, forwarder.connect) as local, forwarder.running():
        forwarder.connect().close()
        yield local


@contextmanager
def port_forwards(host: Host, kubectl: Sequence[str], ports: Sequence[int]) -> Iterator[dict[int, int]]:
    """Keep kubectl's port-forward of these ports running on `host`; yields loopback ports of this machine, by them.

    Raises Problem when kubectl does not listen in time.
    """
    forwarder = _Forwarder(host, (*kubectl, *(f":{port}" for port in ports)))
    with ExitStack() as stack:
        found = {port: stack.enter_context(tunnel(0, partial(forwarder.connect, port))) for port in ports}
        stack.enter_context(forwarder.running())
        forwarder.wait()
        yield found


class _Forwarder:
    """A kubectl that is started again whenever it ends; `_ports` are those it listens on, by those of the pod."""

    def __init__(self, host: Host, kubectl: Sequence[str]) -> None:
        self.cancel = Cancel()
        self._host, self._kubectl = host, kubectl
        self._ports: dict[int, int] = {}
        self._output: deque[str] = deque(maxlen=20)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.cancel.request()
            thread.join(5)

    def run(self) -> None:
        command = Command(("sh", "-c", WATCHED, "sh", *self._kubectl), timeout=DAY)
        while not self.cancel.requested:
            try:
                self._host.run(command, Reporter("", self._read, self.cancel))
            except Cancelled:
                return
            except Problem as problem:
                self._output.append(str(problem))
            self._ports = {}
            time.sleep(0.5)

    def connect(self, port: int = 0) -> Stream:
        """A connection to the pod's port (0: the only one), as soon as kubectl listens."""
        ports = self.wait(port)
        return self._host.open_tcp("127.0.0.1", ports[port] if port else next(iter(ports.values())))

    def wait(self, port: int = 0) -> dict[int, int]:
        """The ports on which kubectl listens, as soon as it does."""
        deadline = time.monotonic() + START
        while not (ports := self._ports) or (port and port not in ports):
            if time.monotonic() > deadline or self.cancel.requested:
                details = "\n".join(self._output)
                raise Problem("kubectl port-forward did not start", details=details, commands=[NextCommand("status")])
            time.sleep(POLL)
        return ports

    def _read(self, event: Event) -> None:
        if isinstance(event, Output):
            self._output.append(event.text)
            if found := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", event.text):
                self._ports = {**self._ports, int(found[2]): int(found[1])}
