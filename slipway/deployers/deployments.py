"""Where the services of one environment run: what changes them, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from slipway.deployers.deployer import Deployer
    from slipway.deployers.operations import Operations
    from slipway.deployers.releases import Releases
    from slipway.deployers.secret_store import SecretStore
    from slipway.deployers.status import StatusReader
    from slipway.engine.steps import Probe

S = TypeVar("S")
M = TypeVar("M")


@dataclass(frozen=True)
class Deployments(Generic[S, M]):
    """One environment's deployer, and what goes with it. `state` is what all of them read, once until it changes.

    Operations and status are made, and imported, when they are first asked for: a deploy needs neither.
    """

    state: Probe[S]
    deployer: Deployer[S, M]
    releases: Releases[M]
    secret_store: SecretStore[S]
    make_operations: Callable[[], Operations]
    make_status: Callable[[], StatusReader]

    @cached_property
    def operations(self) -> Operations:
        """What is done to running services beside deploying them."""
        return self.make_operations()

    @cached_property
    def status(self) -> StatusReader:
        """What is known of where services run."""
        return self.make_status()
