"""A random walk over the commands of a day on the Docker of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.walk import walk
from tests.integration.walk_local import LocalServices

pytestmark = [pytest.mark.lab, pytest.mark.long]  # `bench` walks too, on both


def test_what_runs_is_what_was_deployed_whatever_the_order_of_commands(tmp_path: Path) -> None:
    services = LocalServices(tmp_path / "a walk" / "p")
    try:
        walk(services, examples=3, steps=16)
    finally:
        services.purge()
