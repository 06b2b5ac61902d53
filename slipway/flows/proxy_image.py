"""The image of the proxy in front of services, where they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.docker.state import State
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Step


@dataclass(frozen=True, kw_only=True)
class ProvideProxy(Step[State]):
    """The image that has `tag` on a Docker, which `provide` gets there."""

    tag: str
    provide: Callable[[Reporter], object]

    def check(self, facts: State) -> Change | None:
        """Whether it is there."""
        return None if facts.tagged(self.tag) else Change("it is not on this Docker yet")

    def apply(self, report: Reporter) -> None:
        """Get it there."""
        self.provide(report)
