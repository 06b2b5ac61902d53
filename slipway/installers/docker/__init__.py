"""Docker on a host: the engine installed, running, and usable by the user who deploys."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.config.versions import DockerTool
from slipway.docker.protocols import Daemon
from slipway.engine.steps import Step
from slipway.hosts.facts import Facts
from slipway.hosts.host import Host, step_title
from slipway.installers.bundle import Bundle
from slipway.installers.docker.engine import InstallEngine
from slipway.installers.docker.group import JoinDockerGroup
from slipway.installers.docker.proxy import ConfigureProxy


def steps(
    host: Host,
    want: DockerTool,
    daemon: Daemon,
    *,
    bundle: Bundle | None = None,
    after: tuple[str, ...] = (),
    proxy: str | None = None,
) -> Iterator[Step[Facts]]:
    """The steps that bring a host to a usable Docker. Each is always there; what differs decides which of them act.

    `proxy` is what dockerd must use ("": none); None leaves its settings alone, as on this machine. The group and the
    proxy come first, so that dockerd starts with both, and a container can be run as soon as it does.
    """
    title = step_title(host, "Docker for this user")
    group = JoinDockerGroup(name="docker/group", title=title, host=host, after=after)
    yield group
    first: tuple[str, ...] = (group.id,)
    if proxy is not None:
        configure = ConfigureProxy(
            name="docker/proxy",
            title=step_title(host, "Docker's proxy"),
            host=host,
            daemon=daemon,
            proxy=proxy,
            after=first if proxy else after,
            limit=host.packages,
        )
        yield configure
        first = (*first, configure.id)
    yield InstallEngine(
        name="docker/engine",
        title=step_title(host, "Docker engine"),
        host=host,
        want=want,
        daemon=daemon,
        bundle=bundle,
        after=first,
        limit=host.packages,
    )
