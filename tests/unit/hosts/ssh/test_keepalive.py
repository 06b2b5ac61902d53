"""The socket of a connection, as paramiko's thread uses it."""

from __future__ import annotations

import pytest

from slipway.hosts.ssh.keepalive import MonitoredSocket


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
