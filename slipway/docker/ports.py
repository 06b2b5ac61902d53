"""Ports of this machine's loopback interface: which are free, and what uses the others."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection

from slipway.docker.state import Container
from slipway.errors import Unreachable

FindByPort = Callable[[int], Container | None]


def ensure_free(service: str, port: int, taken: Collection[int], find_by_port: FindByPort) -> None:
    """Raise Unreachable if a service's port is in use, naming what uses it and a free port outside `taken`.

    `find_by_port` is `Containers.find_by_port`.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES and is_free(port):
                return  # only root may listen on it, and Docker runs as root
            container = find_by_port(port)
            details = f"container {container.name} publishes it" if container else f"{listener(port)} listens on it"
            free_it = f"docker rm -f {container.name}" if container else "stop that process"
            other = next((p for p in range(port + 1, port + 200) if p not in taken and is_free(p)), 0)
            hint = f"publish: {other} in {service}/service.yaml, or {free_it}"
            raise Unreachable(f"{service}: port {port} is taken", details=details, hint=hint) from error


def is_free(port: int) -> bool:
    """Whether nothing listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def listener(port: int) -> str:
    """The process that listens on a port of this machine, as far as this user may see it."""
    import psutil

    try:
        found = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port]
        pid = next((c.pid for c in found if c.pid), None)
        return f"{psutil.Process(pid).name()} (pid {pid})" if pid else "another user's process"
    except psutil.Error:
        return "another process"
