"""Jars of Maven and of tools.build: built, deployed, and built again for what changed, as Leiningen's are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.project import Done
from tests.lab import clojure_cli
from tests.lab.jvm_services import DEPS_EDN, JAPANESE, MAVEN, JvmService, Kind

pytestmark = pytest.mark.lab
WHERE = ["local", pytest.param("minikube", marks=pytest.mark.long)]
ONLY_LOCAL = pytest.mark.parametrize("where", ["local"], indirect=True)  # a build is the same everywhere


@pytest.fixture(scope="module", params=WHERE)
def where(request: pytest.FixtureRequest) -> str:
    """An environment that is there."""
    if request.param == "minikube":
        request.getfixturevalue("toys")
    return str(request.param)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `clojure`."""
    folder = tmp_path_factory.mktemp("programs")
    clojure_cli.install(folder)
    return folder


@pytest.fixture(
    scope="module", params=[MAVEN, pytest.param(DEPS_EDN, marks=pytest.mark.long)], ids=["maven", "deps.edn"]
)
def service(
    request: pytest.FixtureRequest, where: str, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JvmService]:
    """A service, deployed."""
    kind: Kind = request.param
    project = JvmService(tmp_path_factory.mktemp(kind.name), kind, where, programs)
    try:
        done = deploy(project)
        assert done.exit == 0, "\n".join(done.failures) or done.out + done.err
        yield project
    finally:
        project.remove()


def deploy(project: JvmService) -> Done:
    return project.invoke("deploy", "--output", "json", timeout=900)


def greeting(project: JvmService, old: str, new: str) -> None:
    """Change the line of the source that a check is about."""
    project.edit(project.kind.source, f'"{old}"', f'"{new}"')


def test_a_line_changed_is_built_again_and_nothing_changed_is_not(service: JvmService) -> None:
    assert service.invoke("deploy", "--plan").exit == 0, "what the build itself wrote is a change"
    greeting(service, "hello", "hello again")
    done = deploy(service)
    assert done.exit == 0, "\n".join(done.failures)
    assert done.steps[f"{service.of}/jar"] == done.steps[f"{service.of}/release"] == "changed"
    greeting(service, "hello again", "hello")


@ONLY_LOCAL
@pytest.mark.parametrize("service", [MAVEN], indirect=True, ids=["maven"])
def test_the_jvm_writes_its_log_in_utf_8(service: JvmService) -> None:
    assert f"{JAPANESE} /sqlite" in service.invoke("logs", "--tail", "1000").out


@ONLY_LOCAL
@pytest.mark.parametrize("service", [MAVEN], indirect=True, ids=["maven"])
def test_a_file_that_is_no_input_changes_nothing(service: JvmService) -> None:
    assert deploy(service).exit == 0
    (service.service / "notes.txt").write_text("of nothing that is built\n")
    assert service.invoke("deploy", "--plan").exit == 0


@ONLY_LOCAL
def test_a_compile_error_is_told_in_the_builders_words_and_the_release_stays(service: JvmService) -> None:
    assert deploy(service).exit == 0
    before = service.digest
    greeting(service, "hello", 'hello" + nowhere + "')
    try:
        done = deploy(service)
    finally:
        greeting(service, 'hello" + nowhere + "', "hello")
    assert done.exit == 1
    assert done.steps[f"{service.of}/release"] == "skipped"
    [failure] = done.failures
    expected = "Main.java:[9,46] cannot find symbol" if service.kind is MAVEN else "prices/main.clj"
    assert expected in failure
    assert service.digest == before
