"""What the tests of a file share: a deployed project, so that the first build is paid once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from tests.integration.project import Another, Light, Project

P = TypeVar("P", bound=Project)
# They begin first, or the last one runs alone.
LONG = ("test_auth.py", "test_deploy.py", "test_failed_deploys.py", "test_warm.py", "test_builds.py", "test_new.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files, which are handed out as they stand (`--no-loadscope-reorder`)."""
    items.sort(key=lambda item: item.path.name not in LONG)


@contextmanager
def serving(project: P) -> Iterator[P]:
    """The project with its services deployed, which is purged afterwards."""
    try:
        done = project.invoke("deploy", "--output", "json")
        assert done.exit == 0, done.out + done.err
        yield project
    finally:
        project.purge()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose auth service is running."""
    with serving(Project(tmp_path_factory.mktemp("a team") / "p")) as project:
        yield project


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Another]:
    """A project whose service is of another team, and is running."""
    with serving(Another(tmp_path_factory.mktemp("another team") / "our project")) as another:
        yield another


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Light]:
    """A project whose light service is running."""
    with serving(Light(tmp_path_factory.mktemp("a light team") / "p")) as light:
        yield light


@pytest.fixture
def project(deployed: Project) -> Iterator[Project]:
    """The deployed project, restored after the test."""
    with restored(deployed):
        yield deployed


@pytest.fixture
def another(built: Another) -> Iterator[Another]:
    """The project of another team, restored after the test."""
    with restored(built):
        yield built


@pytest.fixture
def light(running: Light) -> Iterator[Light]:
    """The project of the light service, restored after the test."""
    with restored(running):
        yield running


@contextmanager
def restored(project: Project) -> Iterator[None]:
    """Afterwards the project's files are as they were, and deployed again."""
    paths = (path for path in sorted(project.service.rglob("*")) if path.is_file() and "target" not in path.parts)
    kept = {path: path.read_bytes() for path in paths}
    yield
    for path, content in kept.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    project.environment()
    project.env.clear()
    done = project.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out + done.err
