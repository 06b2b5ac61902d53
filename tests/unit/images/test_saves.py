"""Saved files: which of what is written counts as a save, and that each wakes up who waits."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled
from slipway.images.saves import SaveWatcher, Snapshot, take


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.clj", "src/b.clj"):
        path = tmp_path / "service" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before")
    return tmp_path / "service"


def write_by_rename(folder: Path) -> None:
    (folder / "a.new").write_text("after")
    (folder / "a.new").replace(folder / "a.clj")


SAVES: list[tuple[Callable[[Path], object], list[str]]] = [
    (lambda folder: (folder / "a.clj").write_text("after"), ["a.clj"]),
    (lambda folder: (folder / "a.clj").write_text("before"), []),  # saved as it was
    (write_by_rename, ["a.clj"]),
    (lambda folder: (folder / "src" / "c.clj").write_text("new"), ["src/c.clj"]),
    (lambda folder: (folder / "a.clj").unlink(), ["a.clj"]),
    (lambda folder: shutil.rmtree(folder / "src"), ["src/b.clj"]),
    (lambda folder: (folder / "src").rename(folder / "code"), ["code/b.clj", "src/b.clj"]),
]


@pytest.mark.parametrize(("save", "saved"), SAVES)
def test_what_differs_was_saved(folder: Path, save: Callable[[Path], object], saved: list[str]) -> None:
    before = take(files(folder))
    save(folder)
    found = before.saved(take(files(folder)))
    assert [str(path.relative_to(folder)) for path in found] == saved


def test_a_source_that_a_build_learns_of_was_not_saved_and_one_written_since_was(folder: Path) -> None:
    time.sleep(0.02)  # file systems' clocks are coarse
    before = take([folder / "a.clj"])
    assert before.saved(take(files(folder))) == []
    (folder / "src" / "b.clj").write_text("before")
    assert before.saved(take(files(folder))) == [folder / "src" / "b.clj"]


def test_what_was_saved_between_two_snapshots_still_counts(folder: Path) -> None:
    first = take([folder / "a.clj"])
    (folder / "a.clj").write_text("after")
    merged = take(files(folder)).older(first)
    assert merged.saved(take(files(folder))) == [folder / "a.clj"]
    assert take(files(folder)).older(Snapshot()).saved(take(files(folder))) == []


@pytest.fixture
def watcher(folder: Path) -> Iterator[SaveWatcher]:
    with SaveWatcher() as found:
        found.watch([folder, folder / "src"])
        found.wait(deadline())  # the first look
        yield found


def deadline(seconds: float = 60) -> Cancel:
    cancel = Cancel()
    timer = threading.Timer(seconds, cancel.request)
    timer.daemon = True
    timer.start()
    return cancel


def wakes(watcher: SaveWatcher, quiet: float) -> int:
    """How often it wakes up until it is quiet for so many seconds."""
    for number in itertools.count():
        try:
            watcher.wait(deadline(quiet))
        except Cancelled:
            return number
    raise AssertionError


@pytest.mark.parametrize("save", [save for save, saved in SAVES if saved])
def test_a_save_wakes_up_who_waits(watcher: SaveWatcher, folder: Path, save: Callable[[Path], object]) -> None:
    save(folder)
    began = time.monotonic()
    watcher.wait(deadline())
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("name", [".a.clj.swp", "a.clj~", "#a.clj#", "target/classes/a.class", ".git/index", ".lein-x"])
def test_what_editors_and_builds_leave_behind_wakes_up_nobody(watcher: SaveWatcher, folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    with pytest.raises(Cancelled):
        watcher.wait(deadline(0.6))
    (folder / "a.clj").write_text("after")
    watcher.wait(deadline())


def test_a_folder_that_is_removed_and_made_anew_is_watched_again(watcher: SaveWatcher, folder: Path) -> None:
    shutil.rmtree(folder)
    watcher.wait(deadline())
    folder.mkdir()
    watcher.wait(deadline())  # it is there again
    wakes(watcher, 1.5)
    (folder / "a.clj").write_text("after")
    watcher.wait(deadline())


def test_a_folder_that_is_made_anew_at_once_is_watched_though_it_may_have_the_same_inode(
    watcher: SaveWatcher, folder: Path
) -> None:
    for _ in range(3):
        shutil.rmtree(folder)
        folder.mkdir()
        watcher.wait(deadline())
        wakes(watcher, 1.5)
        (folder / "a.clj").write_text("after")
        watcher.wait(deadline())


def test_many_files_at_once_are_one_save_or_few(watcher: SaveWatcher, folder: Path) -> None:
    for number in range(100):
        (folder / f"{number}.clj").write_text("new")
    assert 1 <= wakes(watcher, 1) <= 5
