"""What integration tests share: one deployed project, so that the first build is paid once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from filelock import FileLock

from tests.integration.project import Project


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose auth service serves its first release."""
    project = Project(tmp_path_factory.mktemp("a team") / "p")
    shared = tmp_path_factory.getbasetemp().parent / "target"
    with FileLock(f"{shared}.lock"):  # the first worker builds the jar and fills Maven's cache; the others take it
        if not shared.exists():
            done = project.invoke("build", "--output", "json")
            assert done.exit == 0, done.out + done.err
            shutil.copytree(project.service / "target", shared)
    if not (project.service / "target").exists():
        shutil.copytree(shared, project.service / "target")
    done = project.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out + done.err
    yield project
    project.purge()


@pytest.fixture
def project(deployed: Project) -> Iterator[Project]:
    """The deployed project, its files put back and deployed again after the test."""
    kept = {
        path: path.read_bytes()
        for path in sorted(deployed.service.rglob("*"))
        if path.is_file() and "target" not in path.parts
    }
    yield deployed
    for path, content in kept.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    deployed.environment({})
    deployed.env.clear()
    done = deployed.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out + done.err
