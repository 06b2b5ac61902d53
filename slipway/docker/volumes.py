"""The volumes of one Docker."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.errors import Problem


class DockerVolumes:
    """See `protocols.Volumes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a volume if it is absent. Raises Problem if one of that name has other labels."""
        with translated_errors(f"volume {name} could not be made"):
            self._connection.api.create_volume(name, labels=dict(labels))
            # Docker's answer to `create` leaves out the labels of a volume from before its last restart.
            there = self._connection.api.inspect_volume(name).get("Labels") or {}
            if there != dict(labels):
                raise Problem(
                    f"volume {name} is there already, with other labels", hint=f"docker volume inspect {name}"
                )

    def remove(self, name: str) -> None:
        with translated_errors(f"volume {name} could not be removed"):
            self._connection.api.remove_volume(name)
