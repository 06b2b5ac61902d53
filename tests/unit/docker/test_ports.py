"""Ports: whether one is free, and who has it otherwise."""

from __future__ import annotations

import errno
import socket

import pytest

from slipway.docker import ports
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.errors import Problem


def test_a_port_that_only_root_may_open_is_not_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprivileged(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, f"{address}: permission denied")

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        used, unused = server.getsockname()[1], other.getsockname()[1]
        other.close()
        monkeypatch.setattr(ports.socket, "socket", Unprivileged)
        ports.ensure_free("web", unused, (), lambda _: None)
        with pytest.raises(Problem, match="is taken") as by_process:
            ports.ensure_free("web", used, (), lambda _: None)
        assert "stop that process" in by_process.value.hint
        daemon = FakeDaemon()
        daemon.containers.start(
            daemon.containers.create(
                ContainerSpec("other_web_01", daemon.images.import_rootfs(b"root", "web:1", []), publish={80: used})
            )
        )
        with pytest.raises(Problem) as by_container:
            ports.ensure_free("web", used, (), daemon.containers.find_by_port)
        assert by_container.value.details == "container other_web_01 publishes it"
        assert by_container.value.hint.endswith("or docker rm -f other_web_01")
