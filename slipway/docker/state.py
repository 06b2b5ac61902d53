"""What a Docker daemon has, as values: images, containers, volumes, and all that belongs to one project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Image:
    """An image: `id` is its config digest (sha256:…)."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class ImageConfig:
    """An image's configuration (OCI image specification). `layers` are DiffIDs, the lowest first."""

    layers: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltImage:
    """An image that was built. `base` is the image from outside that its last stage is based on; empty: scratch.

    `instructions` are those that the builder says it followed; none where it does not tell them all.
    """

    id: str
    base: str
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """A container as `docker inspect` prints it. `ports` maps a container's port to this machine's (address, port)."""

    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    state: str
    exit_code: int = 0
    oom: bool = False  # killed by the kernel because it ran out of memory
    env: tuple[str, ...] = ()
    ports: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by network
    fixed: Mapping[str, str] = field(default_factory=dict)  # the address it was created with, by network
    address: Mapping[str, str] = field(default_factory=dict)  # while it runs, by network
    mounts: Mapping[str, str] = field(default_factory=dict)  # volume by path
    memory: int = 0  # bytes; 0: no limit
    read_only: bool = False
    restart: str = "no"
    restarts: int = 0
    image_name: str = ""  # what it was created from: a tag, which may be another image's by now, or an id
    started: str = ""  # RFC 3339

    @property
    def running(self) -> bool:
        """Whether its process is running."""
        return self.state == "running"

    @property
    def active(self) -> bool:
        """Whether it runs, is paused, or is about to be restarted (`State.Running` of `docker inspect`)."""
        return self.state in {"running", "paused", "restarting"}


@dataclass(frozen=True)
class Volume:
    """A volume and its labels; labels never change after it is created."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class State:
    """What a daemon has of one project: all its containers and volumes, and every tagged image."""

    containers: tuple[Container, ...]
    images: tuple[Image, ...]
    volumes: tuple[Volume, ...]
    networks: tuple[str, ...]

    def container(self, name: str) -> Container | None:
        """The container of that name."""
        return next((c for c in self.containers if c.name == name), None)

    def tagged(self, tag: str) -> Image | None:
        """The image that has that tag."""
        return next((image for image in self.images if tag in image.tags), None)
