"""A host's Docker Engine, over its API (docker-py)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.docker.container_io import DockerContainerIO
from slipway.docker.containers import DockerContainers
from slipway.docker.host_resources import DockerHostResources
from slipway.docker.images import DockerImages
from slipway.docker.labels import LABEL
from slipway.docker.networks import DockerNetworks
from slipway.docker.state import Image, State, Volume
from slipway.docker.transfers import DockerTransfers
from slipway.docker.volumes import DockerVolumes
from slipway.engine.threads import Threads

if TYPE_CHECKING:
    from slipway.hosts.host import Host


class Engine:
    """The `Daemon` behind a host's socket. It connects on first use."""

    def __init__(self, host: Host, closing: ExitStack) -> None:
        self._connection = Connection(host, closing)
        self.images = DockerImages(self._connection)
        self.transfers = DockerTransfers(self._connection)
        self.containers = DockerContainers(self._connection)
        self.io = DockerContainerIO(self._connection)
        self.volumes = DockerVolumes(self._connection)
        self.networks = DockerNetworks(self._connection)
        self.resources = DockerHostResources(self._connection)

    def state(self, project: str) -> State:
        """All that checks ask about a project, in four requests and one per container of the project."""
        with translated_errors("Docker's containers and images could not be listed"):
            api = self._connection.api
            filters = {"label": f"{LABEL}={project}"}
            listed = Threads(1).submit(api.images)  # beside the others: it takes Docker longer than all of them
            rows = api.containers(all=True, filters=filters)
            volumes = api.volumes(filters=filters).get("Volumes") or []
            networks = api.networks(filters=filters)
            containers = [found for row in rows if (found := self.containers.find(row["Id"]))]
            images = listed.result()
        return State(
            tuple(containers),
            tuple(Image(i["Id"], tuple(i.get("RepoTags") or ()), i.get("Labels") or {}) for i in images),
            tuple(Volume(v["Name"], v.get("Labels") or {}) for v in volumes),
            tuple(n["Name"] for n in networks),
        )
