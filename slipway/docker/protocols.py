"""One host's Docker daemon, by noun: images and their transfers, containers and what is in them, volumes, networks,
and what all that takes of the host.

Every operation raises Problem with the daemon's own words when it is refused, and Unreachable where it does not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.state import BuiltImage, Container, ImageConfig, State
from slipway.engine.reporter import Reporter


class Images(Protocol):
    """The images of a daemon, by id or tag."""

    def build(
        self,
        context: bytes,
        dockerfile: str,
        tags: Sequence[str],
        args: Mapping[str, str],
        labels: Mapping[str, str],
        platform: str,
        report: Reporter,
    ) -> BuiltImage:
        """Build an image from a tar and tag it only when it is complete."""

    def inspect(self, image: str) -> ImageConfig:
        """What is asked most of an image's configuration."""

    def configuration(self, image: str) -> str:
        """The whole of it, the JSON of the OCI image specification, apart from `empty_layer` in the history."""

    def import_rootfs(self, tar: bytes, tag: str, config: Sequence[str]) -> str:
        """Import a root file system as an image of one layer; its id. `config` are Dockerfile instructions."""

    def tag(self, image: str, tag: str) -> None:
        """Give an image a tag, which another image loses."""

    def untag(self, tag: str) -> None:
        """Remove a tag, and with its last one the image. A tag that does not exist is no error."""


class ImageTransfers(Protocol):
    """Images to and from registries and archives."""

    def pull(self, reference: str, report: Reporter, platform: str = "") -> str:
        """Pull an image by digest, for this machine or for `platform`; its id."""

    def push(self, tag: str, report: Reporter) -> str:
        """Push a tag; the digest of its manifest."""

    def load(self, archive: str, report: Reporter) -> str:
        """Load a `docker save` archive of one image, which is on this machine; the image's id."""

    def save(self, image: str, archive: str, report: Reporter) -> None:
        """Write an image as a `docker save` archive, complete or not at all."""


class Containers(Protocol):
    """The containers of a daemon, by id or name."""

    def create(self, spec: ContainerSpec) -> str:
        """Create a container; its id."""

    def start(self, container: str) -> None: ...

    def stop(self, container: str, grace: int) -> None:
        """Stop a container: SIGTERM, and after `grace` seconds SIGKILL. One that does not exist is no error."""

    def rename(self, container: str, name: str) -> None: ...

    def remove(self, container: str) -> None:
        """Remove a container, running or not, with its unnamed volumes. One that does not exist is no error."""

    def inspect(self, container: str) -> Container:
        """The container. Raises Problem if it does not exist."""

    def find(self, container: str) -> Container | None:
        """The container, or None if it does not exist."""

    def find_by_port(self, port: int) -> Container | None:
        """The container, of any project, that publishes a port of the daemon's host."""


class ContainerIO(Protocol):
    """Commands, logs and files of containers."""

    def execute(self, container: str, argv: Sequence[str], report: Reporter, seconds: float = 60) -> tuple[int, str]:
        """Run a command in a running container: its exit code, and both streams as text.

        One that takes more than `seconds` is not waited for; its exit code is 124, as of timeout(1).
        """

    def logs(self, container: str, tail: int, *, follow: bool) -> Iterator[str]:
        """The last lines of both streams, oldest first; with `follow` until the container exits."""

    def read_file(self, container: str, path: str) -> bytes | None:
        """A file of a container, running or not; None if it has none. Raises Problem if there is no such container."""

    def is_link(self, container: str, path: str) -> bool:
        """Whether a path of a container, running or not, is a symbolic link."""

    def write_file(self, container: str, path: str, content: bytes, mode: int) -> None:
        """Write a file, owned by root, into a container, running or not."""

    def write_folder(self, container: str, path: str, files: Mapping[str, bytes]) -> None:
        """Write files, by their paths in a folder that is there, which anybody in the container may change."""


class Volumes(Protocol):
    """Named volumes."""

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a volume if it is absent. Raises Problem if one of that name has other labels."""

    def remove(self, name: str) -> None:
        """Remove a volume. One that does not exist is no error, one that a container has is."""


class Networks(Protocol):
    """Bridge networks."""

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a network if it is absent."""

    def remove(self, name: str) -> None:
        """Remove a network. One that does not exist is no error."""


class HostResources(Protocol):
    """What containers take of the daemon's host."""

    def memory(self) -> int:
        """The host's memory, in bytes."""

    def pause(self, container: str) -> None:
        """Stop the processes of a running container where they are: it takes no CPU, and its memory does not grow."""

    def unpause(self, container: str) -> None:
        """Let the processes of a paused container go on."""


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
    @property
    def resources(self) -> HostResources: ...

    def state(self, project: str) -> State:
        """All that checks ask about a project, in four requests and one per container of the project."""
