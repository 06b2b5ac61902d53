"""The networks of a Docker daemon. Docker allows two of one name; here they are merged into one."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from docker.errors import APIError, NotFound

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.docker.containers import parse_container


class DockerNetworks:
    """The `Networks` behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # a run's threads look for a network and then create it, one at a time

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a bridge network if it is absent; several of that name are merged into the oldest."""
        with translated_errors(f"network {name} could not be created"), self._lock:
            oldest, *others = self._named(name) or self._created(name, labels)
            for other in others:
                self._merge(name, other["Id"], oldest["Id"])

    def remove(self, name: str) -> None:
        """Remove every network of that name. One that does not exist is no error."""
        with translated_errors(f"network {name} could not be removed"), self._lock:
            for network in self._named(name):
                self._remove(network["Id"])

    def _created(self, name: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """A new network, or the one that another process made meanwhile."""
        try:
            return [self._connection.api.create_network(name, driver="bridge", labels=dict(labels))]
        except APIError as error:
            found = self._named(name) if error.status_code == HTTPStatus.CONFLICT else []
            if not found:
                raise
            return found

    def _remove(self, network: str) -> None:
        with suppress(NotFound):  # another process removed it meanwhile
            self._connection.api.remove_network(network)

    def _named(self, name: str) -> list[dict[str, Any]]:
        """Every network of exactly that name, oldest first. Docker refuses to work with a name that two have."""
        found = self._connection.api.networks(names=[f"^{re.escape(name)}$"])
        return sorted(found, key=_time)

    def _merge(self, name: str, network: str, target: str) -> None:
        """Move the running containers of one network to another, with their DNS names, and remove the empty one."""
        api = self._connection.api
        for container in api.inspect_network(network).get("Containers") or {}:
            aliases = parse_container(api.inspect_container(container)).aliases.get(name, ())
            api.disconnect_container_from_network(container, network)
            api.connect_container_to_network(container, target, aliases=list(aliases))
        self._remove(network)


def _time(network: Mapping[str, Any]) -> str:
    return str(network["Created"])
