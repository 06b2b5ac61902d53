"""What containers take of a Docker daemon's host: its memory, and CPU, which a paused one takes none of."""

from __future__ import annotations

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection


class DockerHostResources:
    """The `HostResources` behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def memory(self) -> int:
        """The host's memory, in bytes."""
        with translated_errors("Docker could not be asked for its memory"):
            return int(self._connection.api.info()["MemTotal"])

    def pause(self, container: str) -> None:
        """Stop the processes of a running container where they are: it takes no CPU, and its memory does not grow."""
        with translated_errors(f"container {container[:12]} could not be paused"):
            self._connection.api.pause(container)

    def unpause(self, container: str) -> None:
        """Let the processes of a paused container go on."""
        with translated_errors(f"container {container[:12]} could not be unpaused"):
            self._connection.api.unpause(container)
