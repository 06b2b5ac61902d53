"""Day-two work on services that run: logs, restart, scale, forward, down, purge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from slipway.config.models import Service
from slipway.engine.reporter import Reporter


class Operations(Protocol):
    """What is done to running services beside deploying them. Every method raises Problem."""

    def logs(self, service: str, tail: int, *, follow: bool) -> Iterator[str]:
        """Log lines of every copy of a service."""

    def restart(self, service: Service, report: Reporter) -> None:
        """Stop and start every copy; it keeps its release."""

    def can_scale(self, service: Service) -> None:
        """Raise UsageError where the number of copies can't be changed by hand."""

    def scale(self, service: Service, replicas: int | None, report: Reporter) -> None:
        """Run so many copies until the file's number changes; None: as many as the file says."""

    def forward(self, service: str, port: int | None) -> AbstractContextManager[str]:
        """A loopback URL of the running service for as long as the context lasts."""

    def known_services(self) -> frozenset[str]:
        """The services of which there is anything here: workloads, data or history."""

    def down(self, services: Sequence[str], report: Reporter) -> None:
        """Remove the workloads of these services; data, secrets and history stay."""

    def purge(self, services: Sequence[str], *, everything: bool, report: Reporter) -> None:
        """Remove data and history of these services; with `everything` generated secrets too."""
