"""One host's Docker, by noun. Every method raises Problem with the daemon's own words when it is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.state import Container, ImageConfig, State
from slipway.engine.steps import Reporter


class Images(Protocol):
    """Images: built, inspected, imported, tagged."""

    def build(
        self,
        context: bytes,
        dockerfile: str,
        tags: Sequence[str],
        args: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str,
        report: Reporter,
    ) -> str:
        """Build an image from a tar and tag it only when it is whole; its id."""

    def inspect(self, image: str) -> ImageConfig:
        """The configuration of an image."""

    def import_rootfs(self, tar: bytes, tag: str, config: Sequence[str]) -> str:
        """Import a root file system as an image of one layer; `config` are Dockerfile instructions; its id."""

    def tag(self, image: str, tag: str) -> None:
        """Give an image a name."""

    def untag(self, tag: str) -> None:
        """Take a name from an image, and with the last one the image; one that is gone already is gone."""


class ImageTransfers(Protocol):
    """Images on their way. Progress is reported in bytes."""

    def pull(self, reference: str, report: Reporter, platform: str = "") -> str:
        """Pull an image by digest, for this machine or for `platform`; its id."""

    def push(self, tag: str, report: Reporter) -> str:
        """Push a tag; the digest of its manifest."""

    def load(self, archive: str, report: Reporter) -> str:
        """Load a `docker save` archive of one image, which is on this machine; the image's id."""

    def save(self, image: str, archive: str, report: Reporter) -> None:
        """Write an image as a `docker save` archive, whole or not at all."""


class Containers(Protocol):
    """Containers, by name or id."""

    def create(self, spec: ContainerSpec) -> str:
        """Create a container; its id."""

    def start(self, container: str) -> None:
        """Start it."""

    def stop(self, container: str, grace: int) -> None:
        """Stop it: SIGTERM, and after `grace` seconds SIGKILL."""

    def rename(self, container: str, name: str) -> None:
        """Rename it."""

    def remove(self, container: str) -> None:
        """Remove it, running or not, with its unnamed volumes; one that is gone already is gone."""

    def inspect(self, container: str) -> Container:
        """A container."""

    def find(self, container: str) -> Container | None:
        """A container; None where it is not there (any more)."""

    def find_by_port(self, port: int) -> Container | None:
        """The container, of any project, that publishes a port of this machine."""


class ContainerIO(Protocol):
    """What goes on in containers."""

    def execute(self, container: str, argv: Sequence[str], report: Reporter, seconds: float = 60) -> tuple[int, str]:
        """Run a command in a running container: its exit code (124: not waited for), and both streams as text."""

    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Lines of both streams, oldest first; with `follow` until the container ends."""

    def read_file(self, container: str, path: str) -> bytes | None:
        """A file of a container, running or not; None if it is not there."""

    def write_file(self, container: str, path: str, content: bytes, mode: int) -> None:
        """Put a file into a container, running or not, with root as its owner."""


class Volumes(Protocol):
    """Volumes."""

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a volume if it is absent. Raises Problem if one of that name has other labels."""

    def remove(self, name: str) -> None:
        """Remove a volume and what is in it."""


class Networks(Protocol):
    """Networks, each of which all containers of one project are on."""

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network if it is absent."""

    def remove(self, name: str) -> None:
        """Remove a network; one that is gone is gone."""


class Daemon(Protocol):
    """One Docker daemon."""

    @property
    def images(self) -> Images: ...
    @property
    def transfers(self) -> ImageTransfers: ...
    @property
    def containers(self) -> Containers: ...
    @property
    def io(self) -> ContainerIO: ...
    @property
    def volumes(self) -> Volumes: ...
    @property
    def networks(self) -> Networks: ...

    def state(self, project: str) -> State:
        """What it has of a project: all its containers and volumes, and every tagged image."""
