"""How an image gets into a Minikube: through a registry on the cluster's own Docker network, missing layers only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from slipway.docker.host_registry import NAME, PORT, HostRegistry, pushed
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, RegistryDenied
from slipway.hosts.host import Host

HOSTS_FILE = f"/etc/containerd/certs.d/{NAME}:{PORT}/hosts.toml"
HOSTS = f'server = "http://{NAME}:{PORT}"\n\n[host."http://{NAME}:{PORT}"]\n  capabilities = ["pull", "resolve"]\n'
_MAKING_KNOWN = threading.Lock()  # deliveries of one run go side by side
PULL_TIMEOUT = 900  # seconds for the node to pull an image from beside it
LIST_TIMEOUT = 5  # seconds that a busy node gets to list an image that it has pulled


class Registry(Protocol):
    """How an image of this Docker becomes one that a cluster can pull."""

    def deliver(self, image: str, repository: str, tag: str, report: Reporter) -> str:
        """Push `image` and return the reference, by digest, under which a node has or pulls it. Raises Problem."""


@dataclass(frozen=True)
class LocalRegistry:
    """A registry beside a Minikube. `node` is the node's container, and its network's name.

    Images come from `daemon`, this machine's or the node's own; `host` is the machine of node and registry.
    """

    daemon: Daemon
    host: Host
    run_docker: Daemon  # the node's
    node: str
    image: Callable[[Reporter], str]  # provides the registry's own image; its tag

    def deliver(self, image: str, repository: str, tag: str, report: Reporter) -> str:
        """Push on loopback, then let the node pull it, so that it is there before a rollout."""
        _, digest = self._registry.push(image, repository, tag, report)
        self._make_known(report)
        reference = f"{NAME}:{PORT}/{repository}@{digest}"
        code, output = self.run_docker.io.execute(self.node, ["crictl", "pull", reference], report, PULL_TIMEOUT)
        if code:
            raise Problem(f"the node could not pull {reference}", details=output, hint="docker logs " + NAME)
        for _ in range(LIST_TIMEOUT * 4):
            code, output = self.run_docker.io.execute(self.node, ["crictl", "inspecti", reference], report)
            if code == 0:
                report.note(f"the node has {reference}")
                return reference
            report.cancel.wait(0.25)
        raise Problem(f"the node pulled {reference} and does not have it", details=output)

    @property
    def _registry(self) -> HostRegistry:
        return HostRegistry(self.daemon, self.host, self.run_docker, self.image, self.node)

    def _make_known(self, report: Reporter) -> None:
        """Tell the node's container runtime that the registry speaks HTTP."""
        with _MAKING_KNOWN:
            if self.run_docker.io.read_file(self.node, HOSTS_FILE) != HOSTS.encode():
                self.run_docker.io.execute(self.node, ["mkdir", "-p", HOSTS_FILE.rpartition("/")[0]], report)
                self.run_docker.io.write_file(self.node, HOSTS_FILE, HOSTS.encode(), 0o644)


@dataclass(frozen=True)
class RemoteRegistry:
    """A registry of the team's own, named by the environment; credentials are Docker's (docker login)."""

    daemon: Daemon
    registry: str

    def deliver(self, image: str, repository: str, tag: str, report: Reporter) -> str:
        """Push it; nodes pull it when they need it."""
        name = f"{self.registry}/{repository}"
        try:
            return f"{name}@{pushed(self.daemon, image, f'{name}:{tag}', report)}"
        except RegistryDenied as denied:
            denied.hint = f"docker login {self.registry.partition('/')[0]}"
            raise
