"""The story of a machine that gets a Minikube, which needs nothing of services: `setup --host` is this alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.config.models import Cluster, Config
from slipway.docker.protocols import Daemon, State
from slipway.engine.steps import Probe, Step, function_step
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, step_prefix, step_title
from slipway.hosts.preflight import require_preparable
from slipway.installers import bundle as bundles
from slipway.installers import docker as docker_tool
from slipway.installers import minikube as minikube_tool


@dataclass(frozen=True)
class HostTarget:
    """A machine that is made ready for a Minikube: its Docker, what that has, the cluster wanted, and a bundle."""

    host: Host
    daemon: Daemon
    state: Probe[State]
    cluster: Cluster
    bundle: bundles.Bundle | None


def host(config: Config, site: HostTarget) -> Iterator[Step[Any]]:
    """What an SSH host needs: to be fit at all, Docker, kubectl, minikube."""
    check: Callable[[Facts], None] = lambda facts: require_preparable(site.host.name, facts)  # noqa: E731
    first = function_step(
        f"{step_prefix(site.host)}/host", step_title(site.host, "host"), site.host.probe, check, lambda _: None
    )
    yield first
    entry = config.hosts.hosts.get(site.host.name)
    proxy = (entry.proxy if entry else None) or ""
    yield from docker_tool.steps(
        site.host, config.tools.docker, site.daemon, bundle=site.bundle, after=(first.id,), proxy=proxy
    )
    yield from minikube(config, site)


def hosts(config: Config, sites: Sequence[HostTarget]) -> Iterator[Step[Any]]:
    """The same for several, none of which waits for another."""
    for site in sites:
        yield from host(config, site)


def minikube(config: Config, site: HostTarget) -> Iterator[Step[Any]]:
    """Kubectl and minikube on a machine whose Docker runs, and what a bundle has for them."""
    engine = (f"{step_prefix(site.host)}/docker/engine",)
    yield from minikube_tool.steps(site.host, config.tools, site.cluster, site.bundle, engine)
    if site.bundle:
        yield from bundles.steps(site.bundle, site.host, site.daemon, site.state, engine)
