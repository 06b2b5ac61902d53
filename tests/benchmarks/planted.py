"""Can the tests fail? Each planted defect is put into a copy of the sources, and its tests must turn red there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Planted:
    """One defect, and whether the tests noticed it."""

    name: str
    details: str
    said: str
    ok: bool

    @property
    def text(self) -> str:
        """The line as it is printed."""
        return f"{'ok  ' if self.ok else 'MISS'}  {self.name:<34} {self.said:<22} {self.details}"


def rows() -> Iterator[Planted]:
    """Every defect of tests/defects, one after the other."""
    for patch in sorted((ROOT / "tests" / "defects").glob("*.patch")):
        yield planted(patch)


def planted(patch: Path) -> Planted:
    """Plant one defect in a checkout of its own and run the tests that the patch names."""
    text = patch.read_text()
    details, tests = (re.search(rf"^# {key}: (.*)$", text, re.MULTILINE) for key in ("defect", "tests"))
    if not details or not tests:
        return Planted(patch.stem, "", "names no tests", ok=False)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        git = ("git", "-C", str(ROOT))
        subprocess.run([*git, "worktree", "add", "-q", "--detach", str(copy), "HEAD"], check=True)
        try:
            apply = subprocess.run(["git", "-C", str(copy), "apply", str(patch)], capture_output=True, check=False)
            if apply.returncode:
                return Planted(patch.stem, details[1], "does not apply any more", ok=False)
            (copy / ".venv").symlink_to(ROOT / ".venv")
            words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(tests[1])]
            code = subprocess.run(words, cwd=copy, capture_output=True, check=False).returncode
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(copy)], check=True)
    said = {0: "the tests stay green", 1: "noticed"}.get(code, f"pytest exit code {code}")
    return Planted(patch.stem, details[1], said, ok=code == 1)
