"""The lines of a command that goes on while a test reads them."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue


@contextmanager
def printed(process: subprocess.Popen[str]) -> Iterator[SimpleQueue[str]]:
    """The lines on standard output, as they come; all are read before the context ends, for the pipe is closed then."""
    lines = SimpleQueue[str]()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line.rstrip("\n"))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield lines
    finally:
        reader.join(60)
