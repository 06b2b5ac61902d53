"""How often Git is asked for the files of many folders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.errors import UsageError
from slipway.images import git_files
from slipway.images.git_files import UnignoredFiles, unignored_files


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Three folders of a repository, each with a file of its own and one that Git ignores."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("target\n")
    found = [tmp_path / name for name in ("auth", "order", "shared")]
    for folder in found:
        (folder / "target").mkdir(parents=True)
        (folder / "target" / "a.jar").touch()
        (folder / f"{folder.name}.clj").touch()
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the folders that Git was asked for, in turn."""
    seen: list[list[str]] = []

    def listed(*folders: Path) -> list[list[str]]:
        seen.append(sorted(folder.name for folder in folders))
        return unignored_files(*folders)

    monkeypatch.setattr(git_files, "unignored_files", listed)
    return seen


def test_all_others_are_asked_for_with_the_second(folders: list[Path], asked: list[list[str]]) -> None:
    auth, order, shared = folders
    known = UnignoredFiles(folders)
    assert known(auth) == [["auth.clj"]]
    assert asked == [["auth"]]
    assert known(order, shared) == [["order.clj"], ["shared.clj"]]
    assert known(shared, auth) == [["shared.clj"], ["auth.clj"]]
    assert asked == [["auth"], ["order", "shared"]]


def test_a_folder_that_nobody_named_is_asked_for_by_itself(folders: list[Path], asked: list[list[str]]) -> None:
    auth, order, shared = folders
    known = UnignoredFiles([auth, auth.parent / "absent"])
    assert known(auth, order) == [["auth.clj"], ["order.clj"]]
    assert known(shared) == [["shared.clj"]]
    assert asked == [["auth", "order"], ["shared"]]


def test_a_repository_that_can_not_be_read_is_told_to_who_asks_for_it(folders: list[Path]) -> None:
    auth, order, shared = folders
    subprocess.run(["git", "init", "--quiet", str(shared)], check=True)
    (shared / ".git" / "index").write_text("broken")
    known = UnignoredFiles(folders)
    assert known(auth) == [["auth.clj"]]
    assert known(order) == [["order.clj"]]
    with pytest.raises(UsageError, match="Git can't list the files of"):
        known(shared)
