"""The images of a bundle loaded into a host's Docker, where all later commands find them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from slipway.docker.protocols import Daemon
from slipway.docker.state import State
from slipway.engine.limits import ResourceLimit
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Probe, Step
from slipway.hosts.host import THIS_MACHINE, Host, step_prefix, step_title
from slipway.installers.bundle import Bundle, File, image_tag


def every_role(_: str) -> bool:
    """All images of a bundle are wanted."""
    return True


def steps(
    bundle: Bundle,
    host: Host,
    daemon: Daemon,
    state: Probe[State],
    after: tuple[str, ...],
    wanted: Callable[[str], bool] = every_role,
) -> Iterator[Step[State]]:
    """A step for each image whose role is `wanted`."""
    remote = host.name != THIS_MACHINE
    connection = ResourceLimit("the connection") if remote else None  # one at a time: a cut one is then resumed
    for file in bundle.of("image"):
        if wanted(file.name):
            yield LoadImage(
                group=step_prefix(host),
                name=f"bundle/{file.name}",
                title=step_title(host, f"image {file.name} from the bundle"),
                probe=state,
                bundle=bundle,
                file=file,
                daemon=daemon,
                after=after,
                limit=connection,
            )


@dataclass(frozen=True, kw_only=True)
class LoadImage(Step[State]):
    """One image of a bundle, under the reference that it was saved from, its role's tag, and its archive's digest."""

    bundle: Bundle
    file: File
    daemon: Daemon

    def check(self, facts: State) -> Change | None:
        """Whether the image tagged by its role is of this archive."""
        image = facts.tagged(image_tag(self.file.name))
        loaded = image is not None and archive_tag(self.file) in image.tags and self.file.version in image.tags
        return None if loaded else Change("not on this Docker yet, or another one")

    def apply(self, report: Reporter) -> None:
        """Load the archive, and tag the image."""
        image = self.daemon.transfers.load(str(self.bundle.checked(self.file)), report)
        for tag in (self.file.version, image_tag(self.file.name), archive_tag(self.file)):
            self.daemon.images.tag(image, tag)


def archive_tag(file: File) -> str:
    """The tag that tells which archive an image was loaded from."""
    return f"{image_tag(file.name).partition(':')[0]}:{file.sha256[:16]}"
