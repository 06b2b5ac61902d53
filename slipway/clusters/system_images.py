"""The images that Slipway itself runs beside a team's: the registry, the pod that asks checks, the metrics server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slipway.config.versions import Images
from slipway.docker.protocols import Daemon
from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Probe
from slipway.images import base_images
from slipway.installers import bundle

if TYPE_CHECKING:
    from slipway.clusters.registry import Registry


@dataclass(frozen=True)
class SystemImages:
    """Such images on the Docker of the machine where a cluster runs."""

    project: str
    images: Images
    daemon: Daemon
    state: Probe[State]
    _brought: dict[str, str] = field(default_factory=dict)  # references, by the image's name
    _bringing: threading.Lock = field(default_factory=threading.Lock)

    def tag(self, name: str) -> str:
        """An image's tag: a bundle's, else its pinned reference's."""
        if self.state.facts().tagged(bundle.image_tag(name)):
            return bundle.image_tag(name)
        return base_images.tag(name, self.images.parts[name])

    def provide(self, name: str, report: Reporter) -> str:
        """The tag of an image that this Docker has from now on. Raises Problem if it can't be had."""
        tag = self.tag(name)
        if self.state.facts().tagged(tag) is None:
            reference = self.images.parts[name].upstream or ""
            self.daemon.images.tag(self.daemon.transfers.pull(reference, report), tag)
            self.state.forget()
        return tag

    def bring(self, name: str, registry: Callable[[Daemon], Registry], report: Reporter) -> str:
        """An image brought to a cluster once, however many ask; the reference by which a pod pulls it."""
        with self._bringing:
            if name not in self._brought:
                image, repository = self.provide(name, report), f"{self.project}/slipway-{name}"
                self._brought[name] = registry(self.daemon).deliver(image, repository, "1", report)
            return self._brought[name]
