"""The registry of where services can run. Each is one module with `assemble`, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import ExitStack

    from slipway.clusters.kinds import ClusterSite
    from slipway.clusters.lifecycle import Lifecycle
    from slipway.clusters.system_images import SystemImages
    from slipway.config.models import Config
    from slipway.deployers.deployments import Deployments
    from slipway.docker.labels import Names
    from slipway.engine.steps import AnyNode
    from slipway.flows.artifacts import Artifacts
    from slipway.flows.dev_environment import DevEnvironment
    from slipway.flows.environment import RunEnvironment
    from slipway.flows.fronts import Fronts
    from slipway.flows.workspace import BuildMachine
    from slipway.hosts.host import Host

ENVIRONMENTS = {
    "docker": "slipway.flows.docker_environment",
    "server": "slipway.flows.server_environment",
    "cluster": "slipway.flows.cluster_environment",
}


@dataclass(frozen=True)
class ServerSite:
    """An SSH host whose Docker runs services: Slipway's own images there, and the steps that prepare it."""

    host: Host
    images: SystemImages
    install: Callable[[], Iterator[AnyNode]]
    closing: ExitStack


@dataclass(frozen=True)
class EnvironmentSite:
    """What an environment is put together from. `machine` are the steps of the machine that builds, where it is this
    environment's to prepare; `server` and `cluster` are asked for by those that have one.
    `fronts` is what stands in front of services on a Docker.
    """

    name: str
    config: Config
    names: Names
    build: BuildMachine
    artifacts: Artifacts
    machine: Callable[[], Iterator[AnyNode]]
    server: Callable[[], ServerSite]
    cluster: Callable[[], ClusterSite]
    fronts: Fronts


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
