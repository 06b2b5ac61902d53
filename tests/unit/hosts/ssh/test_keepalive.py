"""The socket of a connection, as paramiko's thread uses it."""

from __future__ import annotations

import socket

import pytest

from slipway.engine.cancellation import Cancel
from slipway.hosts.ssh.keepalive import MonitoredSocket, connect_tcp


class Gone:
    """A channel whose connection has ended: paramiko can't send its end any more."""

    closed = 0

    def close(self) -> None:
        self.closed += 1
        raise EOFError


@pytest.mark.parametrize("end", [MonitoredSocket.close, MonitoredSocket.shut_down])
def test_a_channel_of_a_hop_that_is_gone_is_closed_without_an_error(end: object) -> None:
    gone = Gone()
    assert callable(end)
    end(MonitoredSocket(gone))
    assert gone.closed == 1


def test_a_connection_comes_from_the_address_and_is_of_the_family_that_are_configured() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with connect_tcp("localhost", port, 5, Cancel(), family=socket.AF_INET, source="127.0.0.2") as made:
            assert (made.family, made.getsockname()[0]) == (socket.AF_INET, "127.0.0.2")
            assert server.accept()[1][0] == "127.0.0.2"
        with pytest.raises(OSError, match=r"BindAddress 192.0.2.1: .*assign requested address"):
            connect_tcp("127.0.0.1", port, 5, Cancel(), source="192.0.2.1")
        with pytest.raises(socket.gaierror):
            connect_tcp("\u00fc..x", port, 5, Cancel())
        with pytest.raises(socket.gaierror):
            connect_tcp("127.0.0.1", port, 5, Cancel(), family=socket.AF_INET6)
