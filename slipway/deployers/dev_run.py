"""A service under development where it runs: what it gets beside its release, and what is done with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from slipway.checks.report import CheckReport
from slipway.engine.reporter import Reporter
from slipway.errors import Problem

VOLUME = "/slipway"  # in the service's container
FOLDER = f"{VOLUME}/sources"  # in which the service may write too
TOOL_OPTIONS = "JAVA_TOOL_OPTIONS"  # which a JVM reads however it is started


@dataclass(frozen=True)
class DevSpec:
    """Sources of its own (`files`, by their paths in FOLDER), more ports and JVM options.

    `intercept`: it takes the traffic of the running release.
    """

    java_options: str
    ports: tuple[int, ...]
    files: Mapping[str, bytes] = field(repr=False)
    intercept: bool = False

    def tool_options(self, env: Mapping[str, str]) -> str:
        """The value of TOOL_OPTIONS beside what `env` has."""
        return " ".join(filter(None, (env.get(TOOL_OPTIONS), self.java_options)))


class DevRun(Protocol):
    """One service under development, from `start` to `close`."""

    def start(self, report: Reporter) -> None:
        """Start it and wait until it is ready. Raises Problem with the evidence."""

    def check(self, report: Reporter) -> CheckReport:
        """Run its checks."""

    def with_evidence(self, problem: Problem, name: str) -> str:
        """A problem's details, and behind them what is seen of the service of that name."""

    def record(self, namespaces: Collection[str]) -> None:
        """Note where it runs that these were evaluated in it."""

    def close(self) -> None:
        """Remove all of it; what can't be removed now, a later run removes."""

    def published(self, port: int) -> int:
        """The port of this machine behind which a port of its own is."""

    @property
    def address(self) -> str:
        """Its URL."""

    @property
    def log_command(self) -> str:
        """The command that follows its log."""
