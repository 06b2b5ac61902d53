"""The containers of a Docker daemon: create, start, stop, inspect, find."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from docker.errors import ImageNotFound, NotFound
from docker.types import LogConfig

from slipway.docker.client import translated_errors
from slipway.docker.connection import Connection
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.state import Container

TMP = (
    "rw,exec,nosuid,nodev,size=64m,mode=1777"  # as on a cluster: programs load native libraries that they unpack there
)
LOGS = {"max-size": "10m", "max-file": "5"}  # of what a container prints: no host's disk fills up with it


class DockerContainers:
    """The `Containers` behind a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, spec: ContainerSpec) -> str:
        """Create a container; its id."""
        with translated_errors(f"container {spec.name} could not be created"):
            created = self._connection.api.create_container(
                self._image(spec),
                name=spec.name,
                entrypoint=list(spec.entrypoint) or None,
                labels=dict(spec.labels),
                environment=dict(spec.env),
                ports=[*spec.publish, *spec.public],
                volumes=list(spec.scratch),  # unnamed: created with the container, and removed with it
                healthcheck=None if spec.probed else {"test": ["NONE"]},
                host_config=self._host_config(spec),
                networking_config=self._networking(spec),
            )
            return str(created["Id"])

    def _image(self, spec: ContainerSpec) -> str:
        """The image's name where it is this image's, as it is while this machine's Docker is locked; else its id."""
        if not spec.image_name:
            return spec.image
        with suppress(ImageNotFound):
            if self._connection.api.inspect_image(spec.image_name)["Id"] == spec.image:
                return spec.image_name
        return spec.image

    def _host_config(self, spec: ContainerSpec) -> dict[str, Any]:
        config = self._connection.api.create_host_config(
            binds=[f"{volume}:{path}" for volume, path in spec.volumes.items()],
            port_bindings=_bindings(spec),
            init=True,  # as process 1, a shell or a JVM started by one would never hear SIGTERM
            read_only=True,
            tmpfs={"/tmp": TMP},  # noqa: S108  the container's own
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=spec.memory or None,
            restart_policy={"Name": spec.restart},
            network_mode=spec.network or "bridge",
            log_config=self._log_config,
        )
        return dict(config)

    @cached_property
    def _log_config(self) -> LogConfig | None:
        """Rotation, where the daemon's driver is the one that has none by itself (Docker's json-file)."""
        driver = self._connection.api.info().get("LoggingDriver")
        return LogConfig(type=driver, config=LOGS) if driver == LogConfig.types.JSON else None

    def _networking(self, spec: ContainerSpec) -> dict[str, Any] | None:
        if not spec.network:
            return None
        api = self._connection.api
        address = self._last_address(spec.network) if spec.aside else None
        endpoint = api.create_endpoint_config(aliases=list(spec.aliases), ipv4_address=address)
        return dict(api.create_networking_config({spec.network: endpoint}))

    def _last_address(self, network: str) -> str | None:
        """The last IPv4 address of a network, if it has any."""
        configs = self._connection.api.inspect_network(network)["IPAM"]["Config"] or ()
        subnets = (ipaddress.ip_network(config["Subnet"]) for config in configs)
        found = next((subnet for subnet in subnets if subnet.version == 4), None)
        return str(found[-2]) if found else None

    def start(self, container: str) -> None:
        """Start a container."""
        with translated_errors(f"container {container[:12]} could not be started"):
            self._connection.api.start(container)

    def stop(self, container: str, grace: int) -> None:
        """Stop a container: SIGTERM, and after `grace` seconds SIGKILL. One that does not exist is no error."""
        with translated_errors(f"container {container[:12]} could not be stopped"), suppress(NotFound):
            self._connection.api.stop(container, timeout=grace)

    def rename(self, container: str, name: str) -> None:
        """Rename a container."""
        with translated_errors(f"container {container[:12]} could not be renamed to {name}"):
            self._connection.api.rename(container, name)

    def remove(self, container: str) -> None:
        """Remove a container, running or not, with its unnamed volumes. One that does not exist is no error."""
        with translated_errors(f"container {container[:12]} could not be removed"), suppress(NotFound):
            self._connection.api.remove_container(container, force=True, v=True)

    def inspect(self, container: str) -> Container:
        """The container. Raises Problem if it does not exist."""
        with translated_errors(f"container {container} could not be read"):
            return parse_container(self._connection.api.inspect_container(container))

    def find(self, container: str) -> Container | None:
        """The container, or None if it does not exist."""
        with translated_errors(f"container {container} could not be read"):
            try:
                return parse_container(self._connection.api.inspect_container(container))
            except NotFound:
                return None

    def find_by_port(self, port: int) -> Container | None:
        """The container, of any project, that publishes a port of the daemon's host."""
        with translated_errors("Docker could not list its containers"):
            rows = self._connection.api.containers()
        found = next((row for row in rows if port in {p.get("PublicPort") for p in row["Ports"]}), None)
        return self.find(found["Id"]) if found else None


def parse_container(raw: Mapping[str, Any]) -> Container:
    """A container from what `docker inspect` prints."""
    config, host, state = raw["Config"], raw["HostConfig"], raw["State"]
    bindings = raw["NetworkSettings"].get("Ports") or host.get("PortBindings") or {}  # none while it is restarting
    ports = {
        int(port.split("/")[0]): (published[0].get("HostIp", ""), int(published[0].get("HostPort") or 0))
        for port, published in bindings.items()
        if published
    }
    networks = raw["NetworkSettings"].get("Networks") or {}
    return Container(
        id=raw["Id"],
        name=raw["Name"].lstrip("/"),
        image=raw["Image"],
        labels=config.get("Labels") or {},
        state=state["Status"],
        exit_code=state.get("ExitCode", 0),
        oom=bool(state.get("OOMKilled")),
        env=tuple(config.get("Env") or ()),
        ports=ports,
        aliases={name: tuple(endpoint.get("Aliases") or ()) for name, endpoint in networks.items()},
        fixed={
            name: endpoint["IPAMConfig"]["IPv4Address"]
            for name, endpoint in networks.items()
            if (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
        },
        address={name: endpoint["IPAddress"] for name, endpoint in networks.items() if endpoint.get("IPAddress")},
        mounts={m["Destination"]: m["Name"] for m in raw.get("Mounts", []) if m.get("Type") == "volume"},
        memory=host.get("Memory") or 0,
        read_only=bool(host.get("ReadonlyRootfs")),
        restart=(host.get("RestartPolicy") or {}).get("Name") or "no",
        restarts=raw.get("RestartCount", 0),
        image_name=config.get("Image", ""),
        started=state.get("StartedAt", ""),
    )


def _bindings(spec: ContainerSpec) -> dict[int, Any]:
    """The host's ports, by the container's: on the loopback, but for public ones. 0: a free one."""
    on_loopback = {port: ("127.0.0.1", published or None) for port, published in spec.publish.items()}
    return {**on_loopback, **dict(zip(spec.public, spec.public, strict=True))}
