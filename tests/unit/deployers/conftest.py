"""A service for the tests of deployers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from slipway.config.models import Service
from tests.contracts.deployer import CHECK


@pytest.fixture
def service() -> Iterator[Service]:
    """A service whose port listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Service(name="web", port=80, publish=listening.getsockname()[1], checks=(CHECK,))
