"""Can the tests fail? Each planted defect is put into a copy of the sources, and its tests must turn red there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
DEFECTS = sorted((ROOT / "tests" / "defects").glob("*.patch"))


@dataclass(frozen=True)
class Defect:
    """A patch, and the words after `pytest` that select the tests which it must turn red."""

    patch: Path
    details: str
    tests: tuple[str, ...]


def read(patch: Path) -> Defect:
    """A patch with its two lines of comment. Raises ValueError if one is missing."""
    text = patch.read_text()
    details, tests = (re.search(rf"^# {key}: (.+)$", text, re.MULTILINE) for key in ("defect", "tests"))
    if not details or not tests:
        raise ValueError(f"{patch.name} lacks its line `# defect: ...` or `# tests: ...`")
    return Defect(patch, details[1], tuple(shlex.split(tests[1])))


def obstacle(defect: Defect) -> str | None:
    """Why the defect can't be planted in the working tree as it is, or None. Quick: no test runs."""
    git = ["git", "-C", str(ROOT), "apply", "--check", str(defect.patch)]
    applied = subprocess.run(git, capture_output=True, text=True, check=False)
    if applied.returncode:
        return f"it does not apply: {applied.stderr.strip()}"
    return missing_tests(defect.tests)


def missing_tests(tests: Sequence[str]) -> str | None:
    """Which of the tests do not exist, or None. `-k` may only be names joined by `and`."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("-k", default="")
    selected = parser.parse_args(tests)
    words = set(re.findall(r"\w+", selected.k)) - {"and"}
    for path in selected.paths:
        file, _, name = path.partition("::")
        sources = [ROOT / file] if (ROOT / file).is_file() else sorted((ROOT / file).rglob("test_*.py"))
        names = [
            found for source in sources for found in re.findall(r"^def (test_\w+)", source.read_text(), re.MULTILINE)
        ]
        wanted = [found for found in names if name in {"", found} and all(word in found for word in words)]
        if not wanted:
            return f"no such test: {path}{f' -k {selected.k!r}' if selected.k else ''}"
    return None


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
    for patch in DEFECTS:
        yield planted(patch)


def planted(patch: Path) -> Planted:
    """Plant one defect in a checkout of its own and run the tests that the patch names."""
    defect = read(patch)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        git = ("git", "-C", str(ROOT))
        subprocess.run([*git, "worktree", "add", "-q", "--detach", str(copy), "HEAD"], check=True)
        try:
            apply = subprocess.run(["git", "-C", str(copy), "apply", str(patch)], capture_output=True, check=False)
            if apply.returncode:
                return Planted(patch.stem, defect.details, "does not apply any more", ok=False)
            (copy / ".venv").symlink_to(ROOT / ".venv")
            words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *defect.tests]
            code = subprocess.run(words, cwd=copy, capture_output=True, check=False).returncode
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(copy)], check=True)
    said = {0: "the tests stay green", 1: "noticed"}.get(code, f"pytest exit code {code}")
    return Planted(patch.stem, defect.details, said, ok=code == 1)
