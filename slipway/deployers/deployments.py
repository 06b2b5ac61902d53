"""Where the services of one environment run: what changes them, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

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
    """One environment's deployer, and what goes with it. `state` is what all of them read, once until it changes."""

    state: Probe[S]
    deployer: Deployer[S, M]
    releases: Releases[M]
    operations: Operations
    status: StatusReader
    secret_store: SecretStore[S]
