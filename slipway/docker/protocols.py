"""The seam to one host's Docker daemon: what it has in one bulk question, and the few deeds that Slipway needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from slipway.engine.steps import Reporter

LABEL = "slipway.project"  # on everything that Slipway makes; its value is the project's name


@dataclass(frozen=True)
class Image:
    """An image: `id` is its config digest (sha256:…), `created` in Unix seconds, `size` in bytes."""

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    created: int = 0
    size: int = 0


@dataclass(frozen=True)
class ImageConfig:
    """What an image's configuration says (OCI image specification). `layers` are DiffIDs, the lowest first."""

    layers: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """A container as `docker inspect` says. `ports` maps a container's port to this machine's (address, port)."""

    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    state: str
    exit_code: int = 0
    oom: bool = False  # it was killed for want of memory
    env: tuple[str, ...] = ()
    ports: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by network
    fixed: Mapping[str, str] = field(default_factory=dict)  # the address that it was made with, by network
    mounts: Mapping[str, str] = field(default_factory=dict)  # volume by path
    memory: int = 0
    read_only: bool = False
    restart: str = "no"
    restarts: int = 0
    started: str = ""  # RFC 3339

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.state == "running"

    @property
    def active(self) -> bool:
        """Whether it runs, is paused, or is about to be restarted (`State.Running` of `docker inspect`)."""
        return self.state in {"running", "paused", "restarting"}


@dataclass(frozen=True)
class Volume:
    """A volume and its labels; labels never change after it is made."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class State:
    """What a daemon has of one project: all its containers and volumes, and every tagged image."""

    version: str
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


@dataclass(frozen=True)
class Spec:
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


class Daemon(Protocol):
    """One Docker daemon. Every deed raises Problem with the daemon's own words when it is refused."""

    def state(self, project: str) -> State: ...
    def build(
        self,
        context: bytes,
        dockerfile: str,
        tags: Sequence[str],
        args: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str,
        report: Reporter,
    ) -> str: ...
    def config(self, image: str) -> ImageConfig: ...
    def load_root(self, tar: bytes, tag: str, config: Sequence[str]) -> str: ...
    def tag(self, image: str, tag: str) -> None: ...
    def untag(self, tag: str) -> None: ...
    def pull(self, reference: str, report: Reporter, platform: str = "") -> str: ...
    def push(self, tag: str, report: Reporter) -> str: ...
    def load(self, archive: str, report: Reporter) -> str: ...
    def save(self, image: str, archive: str, report: Reporter) -> None: ...
    def execute(
        self, container: str, argv: Sequence[str], report: Reporter, seconds: float = 60
    ) -> tuple[int, str]: ...
    def create(self, spec: Spec) -> str: ...
    def start(self, container: str) -> None: ...
    def stop(self, container: str, grace: int) -> None: ...
    def rename(self, container: str, name: str) -> None: ...
    def remove(self, container: str) -> None: ...
    def inspect(self, container: str) -> Container: ...
    def find(self, container: str) -> Container | None: ...
    def publishing(self, port: int) -> Container | None: ...
    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]: ...
    def volume(self, name: str, labels: Mapping[str, str]) -> None: ...
    def remove_volume(self, name: str) -> None: ...
    def network(self, name: str, labels: Mapping[str, str]) -> None: ...
    def remove_network(self, name: str) -> None: ...
    def read(self, container: str, path: str) -> bytes | None: ...
    def write(self, container: str, path: str, content: bytes, mode: int) -> None: ...
