"""The container that Docker is asked to create."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ContainerSpec:
    """A container to create. `publish` maps its port to this machine's loopback port (0: a free one).

    `image_name` is a tag that `docker ps` shows, if it is that of `image` when the container is created.

    It runs with a read-only root, a writable /tmp, no capabilities and no new privileges, whatever its image says.
    """

    name: str
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()  # in place of the image's
    env: Mapping[str, str] = field(default_factory=dict)
    publish: Mapping[int, int] = field(default_factory=dict)
    public: tuple[int, ...] = ()  # ports that this machine has for it on all its addresses
    network: str | None = None
    aliases: tuple[str, ...] = ()
    aside: bool = False  # it gets the last address of its network, which Docker assigns to no other container
    volumes: Mapping[str, str] = field(default_factory=dict)  # path by volume
    scratch: tuple[str, ...] = ()  # paths of unnamed volumes, which are removed with the container
    memory: int = 0  # bytes; 0: no limit
    restart: str = "no"
    image_name: str = ""
    probed: bool = True  # whether Docker runs the HEALTHCHECK of its image
