"""The networks of one Docker."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

from slipway.docker.client import parse_container, translated_errors
from slipway.docker.connection import Connection


class DockerNetworks:
    """See `protocols.Networks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # a run's threads look for a network and then create it, one at a time

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network if it is absent. Docker allows two of one name: they are made one again (see `_merge`)."""
        with translated_errors(f"network {name} could not be created"), self._lock:
            kept, *doubles = self._named(name) or [
                self._connection.api.create_network(name, driver="bridge", labels=dict(labels))
            ]
            for double in doubles:
                self._merge(name, double["Id"], kept["Id"])

    def remove(self, name: str) -> None:
        """Remove a network, and any others that were created under the same name; one that is gone is gone."""
        with translated_errors(f"network {name} could not be removed"), self._lock:
            for network in self._named(name):
                self._connection.api.remove_network(network["Id"])

    def _named(self, name: str) -> list[dict[str, Any]]:
        """Every network of exactly that name, the oldest first. Docker refuses to work with a name that two have."""
        return sorted(
            self._connection.api.networks(names=[f"^{re.escape(name)}$"]), key=lambda network: str(network["Created"])
        )

    def _merge(self, name: str, double: str, kept: str) -> None:
        """Move the running containers of one network to another, with their DNS names, and remove the empty one."""
        for container in self._connection.api.inspect_network(double).get("Containers") or {}:
            aliases = parse_container(self._connection.api.inspect_container(container)).aliases.get(name, ())
            self._connection.api.disconnect_container_from_network(container, double)
            self._connection.api.connect_container_to_network(container, kept, aliases=list(aliases))
        self._connection.api.remove_network(double)
