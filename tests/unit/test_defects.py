"""The planted defects can be planted: each applies to the sources as they are, and names tests that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("patch", sorted((ROOT / "tests" / "defects").glob("*.patch")), ids=lambda path: path.stem)
def test_a_planted_defect_applies_and_names_tests_that_exist(patch: Path) -> None:
    applied = subprocess.run(
        ["git", "-C", str(ROOT), "apply", "--check", str(patch)], capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, applied.stderr
    named = re.search(r"^# tests: (.*)$", patch.read_text(), re.MULTILINE)
    assert named
    files = [word.partition("::")[0] for word in shlex.split(named[1]) if word.startswith("tests/")]
    assert files
    assert [file for file in files if not (ROOT / file).exists()] == []
