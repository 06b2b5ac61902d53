"""The lines that the benchmarks change are in the sources, once, and change each time."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from tests.benchmarks.edits import EDITS, Edit
from tests.integration.project import ROOT


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_changes_one_line_and_another_version_the_same_one(edit: Edit, tmp_path: Path) -> None:
    file = tmp_path / edit.file
    file.parent.mkdir(parents=True)
    shutil.copy(ROOT / "services" / edit.file, file)
    texts = [file.read_text()]
    for version in (1, 2):
        edit.write(tmp_path, version)
        texts.append(file.read_text())
    for before, after in pairwise(texts):
        changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
        assert len(changed) == 1
    assert f'{edit.text} 2"' in texts[-1]


def test_an_edit_of_a_text_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.clj").write_text("(ns a)\n")
    with pytest.raises(RuntimeError, match="0 lines have 'hello'"):
        Edit("a.clj", "hello", (), "/").write(tmp_path, 1)
