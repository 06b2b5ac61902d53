"""Where the services of an environment run, as a deploy prepares and addresses it. Each family is one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from slipway.engine.steps import AnyNode
from slipway.errors import NextCommand
from slipway.flows.services import AnyService


class RunEnvironment(Protocol):
    """The steps that differ by where services run: a Docker, or a cluster."""

    def setup(self) -> Iterator[AnyNode]:
        """What the machines of the environment need before services can be deployed."""

    def start(self, after: tuple[str, ...] = ()) -> Iterator[AnyNode]:
        """What must run before anything runs there: a cluster."""

    def prepare(self, services: Sequence[AnyService], after: tuple[str, ...]) -> Iterator[AnyNode]:
        """What must hold or be there: before anything is built for it, or before the releases that wait for it."""

    def before_build(self, service: AnyService, after: tuple[str, ...]) -> Iterator[AnyNode]:
        """What must hold before one service is built for it."""

    def deliver(self, service: AnyService) -> Iterator[AnyNode]:
        """How a tested image gets there."""

    def before_release(self, service: AnyService) -> tuple[str, ...]:
        """The ids of those nodes that a service's release waits for."""

    def image(self, service: AnyService) -> str:
        """The reference of the image that a release of the sources as they stand runs; empty while it has none."""

    def address(self, service: AnyService) -> str | NextCommand:
        """Where a running service answers, or the command that reaches it."""
