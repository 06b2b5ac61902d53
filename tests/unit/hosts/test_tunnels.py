"""The loopback port of a tunnel: which one can't be had, and why."""

from __future__ import annotations

import errno
import os
import socket
import socketserver

import pytest

from slipway.errors import UsageError
from slipway.hosts.tunnels import tunnel


def test_a_taken_port_is_said_to_be_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is taken") as caught, tunnel(port, socket.socket):
            pass
    assert caught.value.hint == "choose another port"


def test_a_port_that_is_not_allowed_is_not_said_to_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(socketserver.TCPServer, "server_bind", denied)
    with pytest.raises(UsageError, match="can't listen on port 80") as caught, tunnel(80, socket.socket):
        pass
    assert "Permission denied" in caught.value.details
