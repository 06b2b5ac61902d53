"""A registry on a host's Docker, by which images get there layer by layer: only those that it lacks are sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, RegistryFault, TagVanished
from slipway.hosts.host import Host
from slipway.hosts.tunnels import tunnel

NAME, PORT = "slipway-registry", 5000
_CREATION = threading.Lock()  # deliveries of one run go side by side, and the first of them creates the registry


def pushed(daemon: Daemon, image: str, name: str, report: Reporter) -> str:
    """Push an image under a name that it has only meanwhile; its digest.

    Whoever else pushes it from this Docker takes the name away behind that, and a registry may fail where both do it
    at once: then it is tried again.
    """
    import stamina

    digest = ""
    for attempt in stamina.retry_context(on=(TagVanished, RegistryFault), attempts=5, wait_initial=0.1):
        with attempt:
            try:
                daemon.images.tag(image, name)
                digest = daemon.transfers.push(name, report)
            finally:
                daemon.images.untag(name)
    return digest


@dataclass(frozen=True)
class HostRegistry:
    """The registry of `host`, in a container of `run_docker`, on a port of its loopback; `image` provides its image.

    Images come from `daemon`, this machine's or the host's own. With `network` it is on that one too, aside.
    """

    daemon: Daemon
    host: Host
    run_docker: Daemon
    image: Callable[[Reporter], str]
    network: str = ""

    def push(self, image: str, repository: str, tag: str, report: Reporter) -> tuple[int, str]:
        """Push an image; the registry's port on the host's loopback, and the image's digest."""
        port = self.ready(report)
        same = self.daemon is self.run_docker
        with nullcontext(port) if same else tunnel(0, lambda: self.host.open_tcp("127.0.0.1", port)) as reached:
            return port, pushed(self.daemon, image, f"127.0.0.1:{reached}/{repository}:{tag}", report)

    def bring(self, image: str, repository: str, tag: str, report: Reporter) -> str:
        """Bring an image into the host's Docker, under the name `repository:tag`; its id there."""
        port, digest = self.push(image, repository, tag, report)
        reference = f"127.0.0.1:{port}/{repository}@{digest}"
        found = self.run_docker.transfers.pull(reference, report)
        self.run_docker.images.tag(found, f"{repository}:{tag}")
        self.run_docker.images.untag(reference)
        return found

    def ready(self, report: Reporter) -> int:
        """The registry running; its port on the loopback of the host."""
        with _CREATION:
            self._create(report)
        return self._wait_until_it_answers(report)

    def _create(self, report: Reporter) -> None:
        found = self.run_docker.containers.find(NAME)
        if found is None or (self.network and self.network not in found.fixed):
            if found:
                self.run_docker.containers.remove(found.id)
            self.run_docker.volumes.create(NAME, {LABEL: NAME})
            self.run_docker.containers.create(self.spec(self.image(report)))
            where = f", on network {self.network}" if self.network else ""
            report.note(f"a registry for images: container {NAME}{where}")
        if found is None or not found.running:
            self.run_docker.containers.start(NAME)

    def spec(self, image: str) -> ContainerSpec:
        """The registry's container."""
        return ContainerSpec(
            name=NAME,
            image=image,
            labels={LABEL: NAME},
            publish={PORT: 0},
            network=self.network or None,
            aliases=(NAME,) if self.network else (),
            aside=bool(self.network),  # after a reboot it may start before the node, whose address it must not take
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
