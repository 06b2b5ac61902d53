"""What is made of services: the images on the Docker that builds them, and the smoke tests that they passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slipway.deployers.docker.container import SOURCE, Names, settings_digest
from slipway.docker.protocols import State
from slipway.engine.steps import Probe
from slipway.flows.services import Services
from slipway.images import image as images

Skip = Callable[[str], object]  # whether what a step makes of a service is not needed after all


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of one project on one Docker, as `state` shows them."""

    names: Names
    services: Services[Any]
    state: Probe[State]

    def image(self, name: str) -> str | None:
        """The id of the image of the sources as they stand."""
        digest = self.services.sources(name).facts().digest
        image = images.present(self.state.facts(), self.names.project, name, digest)
        return image.id if image else None

    def image_differs(self, state: State, name: str) -> str | None:
        """Why an image must be built, or None."""
        digest = self.services.sources(name).facts().digest
        if images.present(state, self.names.project, name, digest):
            return None
        running = state.container(self.names.container(name))
        old = running.labels.get(SOURCE, "")[:8] if running else ""
        return f"sources changed ({old} → {digest[:8]})" if old else f"no image of these sources ({digest[:8]})"

    def passed_tag(self, name: str) -> str:
        """The tag that an image gets when it passed its smoke test with these settings."""
        desired = self.services.desired(name)
        settings = settings_digest(desired.service, desired.secrets)
        return f"{self.names.project}/{name}:ok-{desired.source}-{settings}"

    def passed(self, name: str) -> bool:
        """Whether the image of these sources passed its smoke test with these settings."""
        return self.state.facts().tagged(self.passed_tag(name)) is not None


def never(_: str) -> bool:
    """A `Skip` of nothing."""
    return False
