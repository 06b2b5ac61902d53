"""What is made of services: the images on the Docker that builds them, and the smoke tests that they passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.deployers.docker.container import settings_digest
from slipway.docker.labels import SOURCE, Names
from slipway.docker.state import State
from slipway.engine.steps import Probe
from slipway.flows.services import AnyService
from slipway.images import image as images

Skip = Callable[[AnyService], object]  # whether what a step makes of a service is not needed after all


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of one project on one Docker, as `state` shows them."""

    names: Names
    state: Probe[State]

    def image(self, service: AnyService) -> str | None:
        """The id of the image of the sources as they stand."""
        digest = service.sources.facts().digest
        image = images.find(self.state.facts(), self.names.project, service.name, digest)
        return image.id if image else None

    def image_differs(self, state: State, service: AnyService) -> str | None:
        """Why an image must be built, or None."""
        digest = service.sources.facts().digest
        if images.find(state, self.names.project, service.name, digest):
            return None
        running = state.container(self.names.container(service.name))
        old = running.labels.get(SOURCE, "")[:8] if running else ""
        return f"sources changed ({old} → {digest[:8]})" if old else f"no image of these sources ({digest[:8]})"

    def passed_tag(self, service: AnyService) -> str:
        """The tag that an image gets when it passed its smoke test with these settings."""
        release = service.release.facts()
        settings = settings_digest(release.service, release.secrets)
        return f"{self.names.project}/{service.name}:ok-{release.source}-{settings}"

    def passed(self, service: AnyService) -> bool:
        """Whether the image of these sources passed its smoke test with these settings."""
        return self.state.facts().tagged(self.passed_tag(service)) is not None


def never(_: AnyService) -> bool:
    """A `Skip` of nothing."""
    return False
