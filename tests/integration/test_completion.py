"""Completion as a terminal has it: a real bash, zsh and fish, in which Tab is pressed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).resolve().parents[2]
LOAD = {
    "bash": "source <(./invoke --print-completion-script bash)",
    "zsh": "source <(./invoke --print-completion-script zsh)",
    "fish": "./invoke --print-completion-script fish | source",
}
START = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}


@pytest.fixture(params=LOAD)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[pexpect.spawn[str]]:
    name = str(request.param)
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    env = {**os.environ, "HOME": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"}
    terminal = pexpect.spawn(name, START[name], cwd=str(ROOT), env=env, encoding="utf-8", timeout=30)
    terminal.sendline(f"{LOAD[name]}; echo rea''dy")
    terminal.expect("ready")
    yield terminal
    terminal.close(force=True)


LINES = {  # what is typed, and what Tab adds
    "./invoke deploy consu": "mer",
    "./invoke deploy auth consu": "mer",
    "./invoke deploy --env mini": "kube",
    "./invoke status --output pl": "ain",
    "./invoke deploy --pl": "an",
    "./invoke bundle.ver": "ify",
    "services/../invoke logs -s provi": "der",
}
KILL_LINE = "\x15"  # Ctrl-U


def test_tab_completes_services_environments_views_flags_and_commands(shell: pexpect.spawn[str]) -> None:
    for line, rest in LINES.items():
        shell.send(f"{line}\t")
        shell.expect_exact(line.split()[-1] + rest)
        shell.send(KILL_LINE)
