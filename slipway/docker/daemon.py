"""The real Docker daemon of a host. What it is made of is imported on first use."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from slipway.engine.steps import Probe

if TYPE_CHECKING:
    from slipway.docker.engine import Engine
    from slipway.docker.protocols import (
        ContainerIO,
        Containers,
        HostResources,
        Images,
        ImageTransfers,
        Networks,
        Volumes,
    )
    from slipway.docker.state import State
    from slipway.hosts.host import Host


class DockerDaemon:
    """The `Daemon` behind a host's socket.

    Importing docker-py takes longer than all else in a `build` with nothing to do, which needs no Docker.
    """

    def __init__(self, host: Host, closing: ExitStack) -> None:
        self._engine = Probe(partial(_engine, host, closing))

    @property
    def images(self) -> Images:
        """Its images."""
        return self._engine.facts().images

    @property
    def transfers(self) -> ImageTransfers:
        """How images come to it and leave it."""
        return self._engine.facts().transfers

    @property
    def containers(self) -> Containers:
        """Its containers."""
        return self._engine.facts().containers

    @property
    def io(self) -> ContainerIO:
        """What goes into containers and comes out of them."""
        return self._engine.facts().io

    @property
    def volumes(self) -> Volumes:
        """Its volumes."""
        return self._engine.facts().volumes

    @property
    def networks(self) -> Networks:
        """Its networks."""
        return self._engine.facts().networks

    @property
    def resources(self) -> HostResources:
        """What containers take of its host."""
        return self._engine.facts().resources

    def state(self, project: str) -> State:
        """All that checks ask about a project, in four requests and one per container of the project."""
        return self._engine.facts().state(project)


def _engine(host: Host, closing: ExitStack) -> Engine:
    from slipway.docker.engine import Engine

    return Engine(host, closing)
