"""How an image gets into a Minikube: through a registry on the cluster's own Docker network, missing layers only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Protocol

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, RegistryDenied, TagVanished
from slipway.hosts.host import Host
from slipway.hosts.tunnels import tunnel

NAME, PORT = "slipway-registry", 5000
HOSTS_FILE = f"/etc/containerd/certs.d/{NAME}:{PORT}/hosts.toml"
HOSTS = f'server = "http://{NAME}:{PORT}"\n\n[host."http://{NAME}:{PORT}"]\n  capabilities = ["pull", "resolve"]\n'
_CREATION = threading.Lock()  # deliveries of one run go side by side, and the first of them creates the registry
PULL_TIMEOUT = 900  # seconds for the node to pull an image from beside it
LIST_TIMEOUT = 5  # seconds that a busy node gets to list an image that it has pulled


class Registry(Protocol):
    """How an image of this Docker becomes one that a cluster can pull."""

    def deliver(self, image: str, repository: str, tag: str, report: Reporter) -> str:
        """Push `image` and return the reference, by digest, under which a node has or pulls it. Raises Problem."""


def _pushed(daemon: Daemon, image: str, name: str, report: Reporter) -> str:
    """Push an image under a name that it has only meanwhile; its digest.

    Whoever else pushes it from this Docker takes the name away behind that: then the image gets it once more.
    """
    import stamina

    digest = ""
    for attempt in stamina.retry_context(on=TagVanished, attempts=5, wait_initial=0.1):
        with attempt:
            try:
                daemon.images.tag(image, name)
                digest = daemon.transfers.push(name, report)
            finally:
                daemon.images.untag(name)
    return digest


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
        port = self.ready(report)
        same = self.daemon is self.run_docker
        with nullcontext(port) if same else tunnel(0, lambda: self.host.open_tcp("127.0.0.1", port)) as reached:
            digest = _pushed(self.daemon, image, f"127.0.0.1:{reached}/{repository}:{tag}", report)
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

    def ready(self, report: Reporter) -> int:
        """The registry running and known to the node; its port on the loopback of their machine."""
        with _CREATION:
            self._create(report)
        return self._wait_until_it_answers(report)

    def _create(self, report: Reporter) -> None:
        found = self.run_docker.containers.find(NAME)
        if found is None or self.node not in found.fixed:
            if found:
                self.run_docker.containers.remove(found.id)
            self.run_docker.volumes.create(NAME, {LABEL: NAME})
            self.run_docker.containers.create(self.spec(self.image(report)))
            report.note(f"a registry for the cluster: container {NAME}, on network {self.node}")
        if found is None or not found.running:
            self.run_docker.containers.start(NAME)
        if self.run_docker.io.read_file(self.node, HOSTS_FILE) != HOSTS.encode():
            self.run_docker.io.execute(self.node, ["mkdir", "-p", HOSTS_FILE.rpartition("/")[0]], report)
            self.run_docker.io.write_file(self.node, HOSTS_FILE, HOSTS.encode(), 0o644)

    def spec(self, image: str) -> ContainerSpec:
        """The registry's container."""
        return ContainerSpec(
            name=NAME,
            image=image,
            labels={LABEL: NAME},
            publish={PORT: 0},
            network=self.node,
            aliases=(NAME,),
            aside=True,  # after a reboot it may start before the node, whose address it must not take
            volumes={NAME: "/var/lib/registry"},
            restart="unless-stopped",
        )

    def _wait_until_it_answers(self, report: Reporter) -> int:
        answer = "nothing"
        for _ in range(100):
            found = self.run_docker.containers.find(NAME)
            port = found.ports.get(PORT, ("", 0))[1] if found else 0
            try:
                if port and (answer := self._status_line(port)).startswith("HTTP/1.1 200"):
                    return port
            except (Problem, OSError, EOFError) as error:
                answer = str(error)
            report.cancel.wait(0.1)
        raise Problem(f"the registry does not answer ({answer})", hint=f"docker logs {NAME}")

    def _status_line(self, port: int) -> str:
        with closing(self.host.open_tcp("127.0.0.1", port)) as stream:
            stream.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return stream.recv(100).decode(errors="replace").partition("\r\n")[0]


@dataclass(frozen=True)
class RemoteRegistry:
    """A registry of the team's own, named by the environment; credentials are Docker's (docker login)."""

    daemon: Daemon
    registry: str

    def deliver(self, image: str, repository: str, tag: str, report: Reporter) -> str:
        """Push it; nodes pull it when they need it."""
        name = f"{self.registry}/{repository}"
        try:
            return f"{name}@{_pushed(self.daemon, image, f'{name}:{tag}', report)}"
        except RegistryDenied as denied:
            denied.hint = f"docker login {self.registry.partition('/')[0]}"
            raise
