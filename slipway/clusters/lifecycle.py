"""The life of a cluster that Slipway makes: started, stopped, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from slipway.engine.reporter import Reporter
from slipway.errors import NextCommand, UsageError


@dataclass(frozen=True)
class Outage:
    """Why a cluster of ours does not answer, and what starts it, if there is something."""

    reason: str
    commands: tuple[NextCommand, ...] = ()


class Lifecycle(Protocol):
    """The life of a cluster that Slipway makes; of others there is none to manage."""

    def ensure_managed(self) -> None:
        """Raise UsageError where there is no cluster of ours."""

    def start(self, report: Reporter) -> str:
        """Start it, or create it; since when it runs again (RFC 3339), empty for one that was just created."""

    def stop(self, report: Reporter) -> None:
        """Stop it; what is on it stays."""

    def delete(self, report: Reporter) -> None:
        """Remove it and everything on it."""

    def outage(self) -> Outage | None:
        """Why it does not answer, where that can be told."""


@dataclass(frozen=True)
class NoLifecycle:
    """An environment without a cluster of ours."""

    environment: str

    def ensure_managed(self) -> None:
        """There is none."""
        raise UsageError(
            f"there is no Minikube behind environment {self.environment}",
            hint="name an environment with a Minikube",
            commands=[NextCommand("env.list")],
        )

    def start(self, report: Reporter) -> str:  # noqa: ARG002
        """There is none."""
        self.ensure_managed()
        return ""

    def stop(self, report: Reporter) -> None:  # noqa: ARG002
        """There is none."""
        self.ensure_managed()

    def delete(self, report: Reporter) -> None:  # noqa: ARG002
        """There is none."""
        self.ensure_managed()

    def outage(self) -> Outage | None:
        """Nothing is known of others' clusters."""
        return None
