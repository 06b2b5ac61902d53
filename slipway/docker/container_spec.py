"""A container as it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ContainerSpec:
    """A container that is wanted. `publish` maps its port to this machine's loopback port (0: a free one).

    It runs with a read-only root, a writable /tmp, no capabilities and no new privileges, whatever its image says.
    """

    name: str
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    publish: Mapping[int, int] = field(default_factory=dict)
    network: str | None = None
    aliases: tuple[str, ...] = ()
    aside: bool = False  # its address is its network's last, which no container is given in turn
    volumes: Mapping[str, str] = field(default_factory=dict)  # path by volume
    scratch: tuple[str, ...] = ()  # paths of unnamed volumes, which go with the container
    memory: int = 0  # bytes; 0: no limit
    restart: str = "no"
