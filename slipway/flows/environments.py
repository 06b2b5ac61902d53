"""The registry of where services can run. Each is one module with `assemble`, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.clusters.kinds import ClusterSite
    from slipway.clusters.lifecycle import Lifecycle
    from slipway.config.models import Config
    from slipway.deployers.deployments import Deployments
    from slipway.docker.labels import Names
    from slipway.engine.steps import AnyNode
    from slipway.flows.artifacts import Artifacts
    from slipway.flows.dev_environment import DevEnvironment
    from slipway.flows.environment import RunEnvironment
    from slipway.flows.workspace import BuildMachine

ENVIRONMENTS = {
    "docker": "slipway.flows.docker_environment",
    "cluster": "slipway.flows.cluster_environment",
}


@dataclass(frozen=True)
class EnvironmentSite:
    """What an environment is put together from. `machine` are the steps of the machine that builds, where it is this
    environment's to prepare; `cluster` is asked for by those that have one.
    """

    name: str
    config: Config
    names: Names
    build: BuildMachine
    artifacts: Artifacts
    machine: Callable[[], Iterator[AnyNode]]
    cluster: Callable[[], ClusterSite]


@dataclass(frozen=True)
class AssembledEnvironment:
    """Where services run, what deploys them there, the life of the cluster behind it, and where `dev` runs one."""

    environment: RunEnvironment
    deployments: Deployments[Any, Any]
    lifecycle: Lifecycle
    dev: DevEnvironment


def assemble(family: str, site: EnvironmentSite) -> AssembledEnvironment:
    """The environment of that family; nothing is read or connected yet."""
    found: AssembledEnvironment = import_module(ENVIRONMENTS[family]).assemble(site)
    return found
