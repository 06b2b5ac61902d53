"""What stands in front of services on a Docker: a proxy of each service, and the edge of those that are exposed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.config.models import Service
from slipway.config.versions import Base
from slipway.deployers.docker.proxy import goes_behind
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Probe, Step
from slipway.flows.services import AnyService
from slipway.images import base_images

Provide = Callable[[str, Base, Reporter], object]


@dataclass(frozen=True)
class Fronts:
    """What the images are made from, by what they are: `proxy`, `edge`. None in an environment without them."""

    images: Mapping[str, Base]

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
    ) -> Iterator[ProvideFront]:
        """A step for each image that these services need; `provide` gets one to the Docker that `state` is of."""
        needed = {name for service in services for name in self.needed(service.settings)}
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
