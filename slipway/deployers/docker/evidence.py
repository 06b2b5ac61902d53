"""What a container leaves of a failure: its state and the last lines of its log."""

from __future__ import annotations

from slipway.docker.protocols import Daemon
from slipway.errors import Problem

LINES, LINES_OF_A_NEED = 50, 10  # of a log: of the service itself, and of one that it needs


def evidence(daemon: Daemon, container: str, tail: int = LINES) -> str:
    """The state and the last log lines of a container, as far as they can be read: it never hides the failure."""
    try:
        found = daemon.containers.inspect(container)
        lines = list(daemon.io.logs(found.id, tail, follow=False))
    except Problem:
        return ""
    return "\n".join((f"{found.name}: {found.state}, exit code {found.exit_code}; its last lines:", *lines))
