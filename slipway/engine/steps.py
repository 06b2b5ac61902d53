"""A step: one question (`check`) and one action (`apply`). A precondition: a question that no step changes.

Both are small frozen dataclasses: their fields are what they work with, their facts come from a probe.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from slipway.engine.limits import ResourceLimit
from slipway.engine.reporter import Reporter

F = TypeVar("F")


@dataclass(frozen=True)
class Change:
    """What differs from what is wanted, as the reason of a step."""

    reason: str


class Probe(Generic[F]):
    """Facts that many steps ask for and one reading answers.

    `facts()` reads at most once until `forget()`; threads that ask together wait for the same reading.
    """

    def __init__(self, read: Callable[[], F]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._known: list[F] = []

    def facts(self) -> F:
        """The facts, read now if they are not known. Raises whatever reading raises, and then knows nothing."""
        with self._lock:
            if not self._known:
                self._known.append(self._read())
            return self._known[0]

    def forget(self) -> None:
        """Make the next question read anew."""
        with self._lock:
            self._known.clear()


@dataclass(frozen=True, kw_only=True)
class Node(ABC, Generic[F]):
    """A node of a run's graph. `after` are the ids of nodes that must have succeeded first.

    `group` is what it belongs to: a service, a host, or nothing. `probe` reads the facts that it is about.
    """

    name: str
    title: str
    probe: Probe[F]
    group: str = ""
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What events and other nodes name it by: `auth/jar`, or `secrets` where it has no group."""
        return f"{self.group}/{self.name}" if self.group else self.name


AnyNode = Node[Any]


@dataclass(frozen=True, kw_only=True)
class Step(Node[F]):
    """One question and one action; it has succeeded only when `check` is clean on facts read anew.

    `limit` is what it shares with other steps; `invalidates` are other facts that its action changes.
    """

    limit: ResourceLimit | None = None
    invalidates: tuple[Probe[Any], ...] = ()

    @abstractmethod
    def check(self, facts: F) -> Change | None:
        """What differs from what is wanted; None: nothing. Pure; what must be done to know belongs into the probe."""

    @abstractmethod
    def apply(self, report: Reporter) -> None:
        """Change it."""


@dataclass(frozen=True, kw_only=True)
class Precondition(Node[F]):
    """What must hold before a run goes on, and what no step of it changes: a free port, a platform that fits."""

    @abstractmethod
    def verify(self, facts: F) -> None:
        """Raise Problem where it does not hold. Pure."""

    def warning(self, facts: F) -> str:  # noqa: ARG002  most have none
        """What is told of what holds, but should not be as it is; empty: nothing."""
        return ""


@dataclass(frozen=True, kw_only=True)
class OneShot(Step[None]):
    """An action that somebody asked for: done once it was done, unless it is not `wanted` at all."""

    action: Callable[[Reporter], None]
    wanted: Callable[[], object] | None = None
    _done: list[bool] = field(default_factory=list)

    def check(self, _: None) -> Change | None:
        """Whether it is still to be done."""
        return None if self._done or (self.wanted and not self.wanted()) else Change("asked for")

    def apply(self, report: Reporter) -> None:
        """Do it."""
        self.action(report)
        self._done.append(True)


def one_shot(
    name: str,
    title: str,
    action: Callable[[Reporter], None],
    *,
    wanted: Callable[[], object] | None = None,
    invalidates: tuple[Probe[Any], ...] = (),
) -> OneShot:
    """An action as a step (see `OneShot`)."""
    nothing: Probe[None] = Probe(_nothing)
    return OneShot(name=name, title=title, probe=nothing, action=action, wanted=wanted, invalidates=invalidates)


def _nothing() -> None:
    """The facts of a step that asks for none."""
