"""What an earlier version of Slipway deployed belongs to this one; tests/lab/test_an_ssh_host.py asks it of a host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.walk import Services
from tests.integration.walk_local import LocalServices
from tests.lab.earlier import check_takeover, clone
from tests.lab.walk_cluster import ClusterServices

pytestmark = pytest.mark.lab


@pytest.fixture(params=["local", pytest.param("minikube", marks=pytest.mark.long)])
def services(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Services]:
    """Three services that are not deployed yet; one has a generated secret."""
    if request.param == "local":
        local = LocalServices(tmp_path / "project")
        yield local
        local.purge()
        return
    request.getfixturevalue("toys")  # the cluster is there
    cluster = ClusterServices(tmp_path / "project")
    cluster.secret = "middle"
    yield cluster
    cluster.close()


def test_what_an_earlier_version_deployed_is_unchanged_rolled_back_and_purged(
    services: Services, tmp_path: Path
) -> None:
    check_takeover(services, clone(tmp_path / "earlier"))
