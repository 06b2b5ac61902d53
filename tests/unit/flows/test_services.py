"""What a service is built from, whoever builds it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.config.models import Service
from slipway.flows.services import _files
from tests.unit.flows.workspaces import project, workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "src/a.clj", "test/a.clj", "README.md", "notes", "service.yaml", "made", "target/a.jar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".dockerignore").write_text("notes\nsrc\n")
    (tmp_path / ".gitignore").write_text("made\ntarget/\n")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"build": "none"}, {"README.md", "test/a.clj", "Dockerfile"}),
        ({"build": "none", "dockerfile": "made"}, {"README.md", "test/a.clj", "Dockerfile", "made"}),
        ({"build": "lein"}, {"src/a.clj", "notes", "Dockerfile"}),
        ({"build": "lein", "dockerfile": "made"}, {"src/a.clj", "notes", "Dockerfile", "made"}),
        ({"build": "lein", "dockerfile": "test/a.clj"}, {"src/a.clj", "notes", "Dockerfile", "test/a.clj"}),
        ({"image": "team/cache:1"}, {"src/a.clj", "notes", "Dockerfile"}),
    ],
)
def test_what_leiningen_or_docker_reads_is_in_the_digest(folder: Path, how: dict[str, str], expected: set[str]) -> None:
    service = Service.model_validate({"name": "auth", "folder": folder, **how})
    found = {path.relative_to(folder).as_posix() for path in _files(service)}
    assert found == expected | {".gitignore", ".dockerignore"}


def test_behind_a_build_the_files_of_a_service_are_listed_anew(tmp_path: Path) -> None:
    given = [Service(name=name, build="none") for name in ("auth", "order")]
    found = workspace(project(tmp_path, given)).services
    before = {name: service.sources.facts().digest for name, service in found.items()}
    (tmp_path / "auth" / "made").touch()
    found["auth"].sources.forget()
    assert found["auth"].sources.facts().digest == found["auth"].read().digest != before["auth"]
    assert found["order"].sources.facts().digest == before["order"]
