"""The planted defects can be planted: each applies to the sources as they are, and names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.planted import DEFECTS, missing_tests, obstacle, read


@pytest.mark.parametrize("patch", DEFECTS, ids=[patch.stem for patch in DEFECTS])
def test_a_planted_defect_applies_and_names_tests_that_exist(patch: Path) -> None:
    assert obstacle(read(patch)) is None


def test_there_are_planted_defects() -> None:
    assert len(DEFECTS) >= 19


@pytest.mark.parametrize(
    "tests",
    [
        ("tests/unit/test_moved.py",),
        ("tests/unit/moved",),
        ("tests/unit/test_defects.py::test_renamed",),
        ("tests/unit/test_defects.py", "-k", "planted_defect_applies and renamed"),
        ("tests/unit/test_defects.py", "tests/unit/test_moved.py"),
    ],
)
def test_a_test_that_was_moved_or_renamed_is_missed(tests: tuple[str, ...]) -> None:
    assert str(missing_tests(tests)).startswith("no such test: ")


def test_a_patch_whose_sources_changed_does_not_apply(tmp_path: Path) -> None:
    patch = tmp_path / "old.patch"
    patch.write_text(DEFECTS[0].read_text().replace("\n-", "\n-changed "))
    assert str(obstacle(read(patch))).startswith("it does not apply: ")


def test_a_patch_that_names_no_tests_is_refused(tmp_path: Path) -> None:
    patch = tmp_path / "bare.patch"
    patch.write_text("# defect: nothing is tested\n")
    with pytest.raises(ValueError, match=r"bare\.patch lacks"):
        read(patch)
