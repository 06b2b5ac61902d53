"""The containers of one Docker: created, started, stopped, found."""

from __future__ import annotations

from docker.errors import NotFound

from slipway.docker.client import parse_container, translated_errors
from slipway.docker.connection import Connection
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.state import Container


class DockerContainers:
    """See `protocols.Containers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, container: str) -> Container | None:
        """A container by name or id; None where it is not there (any more)."""
        with translated_errors(f"container {container} could not be read"):
            try:
                return parse_container(self._connection.api.inspect_container(container))
            except NotFound:
                return None

    def find_by_port(self, port: int) -> Container | None:
        """The container, of any project, that has a port of this machine."""
        with translated_errors("Docker could not be asked what it publishes"):
            there = (
                row for row in self._connection.api.containers() if port in {p.get("PublicPort") for p in row["Ports"]}
            )
            found = next(there, None)
        return self.find(found["Id"]) if found else None

    def inspect(self, container: str) -> Container:
        with translated_errors(f"container {container} could not be read"):
            return parse_container(self._connection.api.inspect_container(container))

    def create(self, spec: ContainerSpec) -> str:
        with translated_errors(f"container {spec.name} could not be made"):
            api = self._connection.api
            host = api.create_host_config(
                binds=[f"{volume}:{path}" for volume, path in spec.volumes.items()],
                port_bindings={port: ("127.0.0.1", here or None) for port, here in spec.publish.items()},
                read_only=True,
                tmpfs={"/tmp": "rw,nosuid,nodev,size=64m,mode=1777"},  # noqa: S108  the container's own
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                mem_limit=spec.memory or None,
                restart_policy={"Name": spec.restart},
                network_mode=spec.network or "bridge",
            )
            network = spec.network and api.create_networking_config(
                {
                    spec.network: api.create_endpoint_config(
                        aliases=list(spec.aliases), ipv4_address=self._last(spec.network) if spec.aside else None
                    )
                }
            )
            made = api.create_container(
                spec.image,
                name=spec.name,
                labels=dict(spec.labels),
                environment=dict(spec.env),
                ports=list(spec.publish),
                volumes=list(spec.scratch),  # unnamed: made with the container, and removed with it
                host_config=host,
                networking_config=network or None,
            )
            return str(made["Id"])

    def _last(self, network: str) -> str | None:
        import ipaddress

        ranges = [part["Subnet"] for part in self._connection.api.inspect_network(network)["IPAM"]["Config"] or ()]
        found = next((r for r in map(ipaddress.ip_network, ranges) if r.version == 4), None)
        return str(found[-2]) if found else None

    def start(self, container: str) -> None:
        with translated_errors(f"container {container[:12]} could not be started"):
            self._connection.api.start(container)

    def stop(self, container: str, grace: int) -> None:
        with translated_errors(f"container {container[:12]} could not be stopped"):
            self._connection.api.stop(container, timeout=grace)

    def rename(self, container: str, name: str) -> None:
        with translated_errors(f"container {container[:12]} could not be renamed to {name}"):
            self._connection.api.rename(container, name)

    def remove(self, container: str) -> None:
        with translated_errors(f"container {container[:12]} could not be removed"):
            try:
                self._connection.api.remove_container(container, force=True, v=True)
            except NotFound:
                return
