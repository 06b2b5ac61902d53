"""What docker-py returns for a container becomes ours."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.docker.containers import parse_container

PORT = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "19002"}]}


@pytest.mark.parametrize(
    ("state", "ports"),  # as Docker 20.10 says them: NetworkSettings.Ports is empty whenever there is no process
    [
        ({"Status": "running", "Running": True}, PORT),
        ({"Status": "paused", "Running": True, "Paused": True}, PORT),
        ({"Status": "restarting", "Running": True, "Restarting": True}, {}),
        ({"Status": "exited", "Running": False}, {}),
    ],
)
def test_a_container_publishes_what_it_was_created_with_in_every_state(state: dict[str, Any], ports: Any) -> None:
    found = parse_container(
        {
            "Id": "c",
            "Name": "/wk_web_01",
            "Image": "sha256:1",
            "Config": {"Labels": None, "Env": None},
            "HostConfig": {"PortBindings": PORT},
            "NetworkSettings": {"Ports": ports, "Networks": {}},
            "State": state,
        }
    )
    assert (found.state, found.ports) == (state["Status"], {8080: ("127.0.0.1", 19002)})
    assert found.active == state["Running"]
