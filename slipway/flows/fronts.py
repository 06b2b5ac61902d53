"""What stands in front of services on a Docker: a proxy of each service, and the edge of those that are exposed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from slipway.config.expose import Acme
from slipway.config.models import Service
from slipway.config.versions import Base
from slipway.deployers.docker.proxy import goes_behind
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import AnyNode, Change, Precondition, Probe, Step
from slipway.flows.services import AnyService
from slipway.images import base_images

if TYPE_CHECKING:
    from slipway.deployers.docker.edge import Edge

Provide = Callable[[str, Base, Reporter], object]


@dataclass(frozen=True)
class Fronts:
    """What the images are made from, by what they are: `proxy`, `edge`. None in an environment without them.

    `acme` is whom the edge asks for certificates.
    """

    images: Mapping[str, Base]
    acme: Acme

    @property
    def edge(self) -> Edge | None:
        """What answers the world, in an environment that exposes services."""
        if "edge" not in self.images:
            return None
        from slipway.deployers.docker.edge import Edge  # most environments have none

        return Edge(self.tag("edge"), self.acme)

    def tag(self, name: str) -> str:
        """The tag of an image where services run; empty where there is none."""
        return base_images.tag(name, self.images[name]) if name in self.images else ""

    def needed(self, service: Service) -> list[str]:
        """Those that a service has in front of it: the names of their images, which are the ids of their steps."""
        wanted = {"proxy": goes_behind(service), "edge": service.expose is not None}
        return [name for name in self.images if wanted[name]]

    def steps(
        self,
        services: Sequence[AnyService],
        state: Probe[State],
        after: tuple[str, ...],
        provide: Provide,
        where: str = "",
    ) -> Iterator[AnyNode]:
        """A step for each image that these services need; `provide` gets one to the Docker that `state` is of.

        Before those, and before all that waits for them, that the files can be read which the edge is given.
        """
        needed = {name for service in services for name in self.needed(service.settings)}
        exposed = [service.settings.expose for service in services if service.settings.expose]
        if self.edge and (files := self.edge.files(exposed)):
            readable = ReadableFiles(
                name="certificates", title="certificates and keys", after=after, files=tuple(files)
            )
            yield readable
            after = (*after, readable.id)
        for name in sorted(needed):
            yield ProvideFront(
                name=name,
                title=f"{where}image of the {name}",
                probe=state,
                after=after,
                invalidates=(state,),
                tag=self.tag(name),
                provide=partial(provide, name, self.images[name]),
            )


def _nothing() -> None:
    """The facts of a precondition that reads files of this machine."""


@dataclass(frozen=True, kw_only=True)
class ReadableFiles(Precondition[None]):
    """The PEM files that the edge is given can be read."""

    probe: Probe[None] = field(default_factory=partial(Probe, _nothing))
    files: tuple[str, ...]

    def verify(self, _: None) -> None:
        """Raise UsageError that names the first which can't."""
        from slipway.deployers.docker.edge import read_pem

        for path in self.files:
            read_pem(path)


@dataclass(frozen=True, kw_only=True)
class ProvideFront(Step[State]):
    """The image that has `tag` on a Docker, which `provide` gets there."""

    tag: str
    provide: Callable[[Reporter], object]

    def check(self, facts: State) -> Change | None:
        """Whether it is there."""
        return None if facts.tagged(self.tag) else Change("it is not on this Docker yet")

    def apply(self, report: Reporter) -> None:
        """Get it there."""
        self.provide(report)
