"""The named volumes of a Docker daemon."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from docker.errors import NotFound

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.errors import Problem


class DockerVolumes:
    """The `Volumes` behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a volume if it is absent. Raises Problem if one of that name has other labels."""
        with translated_errors(f"volume {name} could not be created"):
            self._connection.api.create_volume(name, labels=dict(labels))
            # Docker's answer to `create` leaves out the labels of a volume from before its last restart.
            existing = self._connection.api.inspect_volume(name).get("Labels") or {}
        if existing != dict(labels):
            raise Problem(f"volume {name} already exists, with other labels", hint=f"docker volume inspect {name}")

    def remove(self, name: str) -> None:
        """Remove a volume. One that does not exist is no error, one that a container has is."""
        with translated_errors(f"volume {name} could not be removed"), suppress(NotFound):
            self._connection.api.remove_volume(name)
