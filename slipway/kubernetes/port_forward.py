"""A loopback tunnel by kubectl, opened again when its pod is gone, and ended with its context."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from slipway.engine.events import Event, Output
from slipway.engine.steps import Cancel, Reporter
from slipway.errors import Cancelled, Problem
from slipway.hosts import tunnels as loopback
from slipway.hosts.host import Command, Host, Stream

START = 15.0  # seconds for the tunnel to answer
DAY = 86400.0
# Ends with whoever started it, however that went: a killed process, or a connection that broke.
WATCHED = """"$@" & k=$!; trap 'kill $k 2>/dev/null' EXIT; trap 'exit 143' TERM INT
while kill -0 $PPID 2>/dev/null && kill -0 $k 2>/dev/null; do sleep 0.3; done"""


@contextmanager
def tunnel(host: Host, words: Sequence[str], port: int | None) -> Iterator[int]:
    """Keep kubectl's port-forward running on `host`. Yields the loopback port here.

    Raises Problem when the port is taken or nothing answers.
    """
    cancel, said, there = Cancel(), [""], [0]

    def hear(event: Event) -> None:
        if isinstance(event, Output):
            said[:] = [*said[-20:], event.text]
            if found := re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", event.text):
                there[0] = int(found[1])

    def run() -> None:
        while not cancel.requested:
            try:
                host.run(Command(("sh", "-c", WATCHED, "sh", *words), timeout=DAY), Reporter("", hear, cancel))
            except Cancelled:
                return
            except Problem as problem:
                said.append(str(problem))
            there[0] = 0
            time.sleep(0.5)

    def dial() -> Stream:
        deadline = time.monotonic() + START
        while not there[0]:
            if time.monotonic() > deadline or cancel.requested:
                raise Problem("the tunnel did not open", details="\n".join(said), hint="./invoke status")
            time.sleep(0.05)
        return host.open_tcp("127.0.0.1", there[0])

    thread = threading.Thread(target=run, daemon=True)
    with loopback.tunnel(port or 0, dial) as here:
        thread.start()
        try:
            dial().close()
            yield here
        finally:
            cancel.request()
            thread.join(5)
