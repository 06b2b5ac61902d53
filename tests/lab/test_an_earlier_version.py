"""What an earlier version of Slipway deployed belongs to this one; tests/lab/test_an_ssh_host.py asks it of a host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.images import base_images
from tests.integration.project import ROOT
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
        on_the_same_base(local)
        yield local
        local.purge()
        return
    request.getfixturevalue("toys")  # the cluster is there
    cluster = ClusterServices(tmp_path / "project")
    cluster.secret = "middle"
    yield cluster
    cluster.close()


def on_the_same_base(services: LocalServices) -> None:
    """Have the services' Dockerfile name this version's base itself: the earlier one would make another."""
    subprocess.run([str(ROOT / "invoke"), "image", "--service", "auth"], capture_output=True, timeout=900, check=True)
    base = base_images.tag("clojure", load(ROOT).images.bases["clojure"])
    file = services.folder / "light" / "Dockerfile"
    text = file.read_text()
    assert "ARG BASE\nFROM ${BASE}\n" in text
    file.write_text(text.replace("ARG BASE\nFROM ${BASE}\n", f"FROM {base}\n"))


def test_what_an_earlier_version_deployed_is_unchanged_rolled_back_and_purged(
    services: Services, tmp_path: Path
) -> None:
    check_takeover(services, clone(tmp_path / "earlier"))
