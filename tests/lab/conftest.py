"""What lab tests share: one Minikube, made from the offline bundle, and a project of its own on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import another, built
from tests.integration.project import ROOT
from tests.lab import bundle, machines
from tests.lab.toys import Toys

__all__ = ["another", "built"]  # fixtures


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline bundle."""
    machines.register()
    return bundle.make(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def jars() -> None:
    """The jars of the shipped services, so that no copy of this checkout builds the same sources again."""
    subprocess.run([str(ROOT / "invoke"), "build"], capture_output=True, timeout=900, check=True)


@pytest.fixture(scope="session")
def toys(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toys]:
    """A project of one small service, deployed to the Minikube of this machine."""
    default = ROOT / ".slipway" / "environment"
    before = default.read_text() if default.is_file() else "local\n"
    project = Toys(tmp_path_factory.mktemp("toys"))
    done = project.invoke("setup", "--bundle", str(bundled), "--output", "json", timeout=900)
    assert done.exit == 0, done.out + done.err
    default.write_text(before)  # `setup --env minikube` made it this checkout's default
    done = project.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out + done.err
    yield project
    project.invoke("down", "--purge")
    project.kubectl("delete", "namespace", project.name, "--wait=false")
    project.purge()


@pytest.fixture
def toy(toys: Toys) -> Iterator[Toys]:
    """The project, restored and deployed again after a test."""
    yield toys
    toys.write()
    done = toys.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out + done.err
