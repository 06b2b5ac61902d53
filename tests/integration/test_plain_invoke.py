"""Any Invoke, installed anywhere and started in any folder of the checkout, does what `./invoke` does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEBIAN = "/usr/bin/invoke"  # of the package python3-invoke


@pytest.fixture(scope="module", params=["invoke", "invoke<3", DEBIAN])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == DEBIAN:
        if not Path(DEBIAN).exists():
            pytest.skip("python3-invoke is not installed")
        return DEBIAN
    venv = tmp_path_factory.mktemp("invoke") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python"), "install", "-q"]
    subprocess.run([*pip, "--disable-pip-version-check", request.param], check=True)
    return str(venv / "bin" / "invoke")


def run(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "SLIPWAY_CWD"}}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


WORDS: tuple[list[str], ...] = ([], ["setup", "--plan"], ["--dry", "deploy", "nothing"], ["-l", "cluster"])


def test_it_does_what_the_launcher_does(program: str) -> None:
    for words in WORDS:
        plain, ours = run(program, *words), run("./invoke", *words)
        assert (plain.returncode, plain.stderr) == (ours.returncode, ours.stderr), words
        assert plain.returncode in {0, 2, 3}
        assert plain.stdout.splitlines()[:1] == ours.stdout.splitlines()[:1]
        assert "Traceback" not in plain.stderr


def test_folders_are_those_of_where_it_was_started(program: str, tmp_path: Path) -> None:
    folder = ROOT / "services" / "auth"
    relative = os.path.relpath(tmp_path, folder)
    done = run(program, "status", "--settings", f"{relative}/none", folder=folder)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, f"{tmp_path / 'none'} is not a folder")
