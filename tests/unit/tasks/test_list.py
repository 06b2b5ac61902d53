"""What `./invoke --list` and plain `./invoke` show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(*words: str) -> str:
    return subprocess.check_output([sys.executable, "tasks/main.py", *words], cwd=ROOT, text=True, timeout=60)


@pytest.mark.parametrize("words", [(), ("--list",)], ids=["plain", "list"])
def test_commands_of_users_are_listed_apart_from_those_for_work_on_slipway(words: tuple[str, ...]) -> None:
    commands, _, development = run(*words).partition("For developing Slipway itself:\n")
    assert commands.startswith("Commands:\n")
    listed = [{line.split()[0] for line in part.splitlines() if line[2:3].strip()} for part in (commands, development)]
    assert {"deploy", "up", "status", "new", "render", "cluster.start", "env.list", "host.check"} <= listed[0]
    assert listed[1] == {"test", "lint", "bench", "pictures", "lab.bundle", "lab.down", "lab.hosts"}
    assert not listed[0] & listed[1]


def test_nothing_is_imported_for_a_list_but_tasks_errors_and_the_names_of_views() -> None:
    code = "import sys, tasks; print(*(name for name in sys.modules if name.startswith('slipway')))"
    found = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True, timeout=60)
    assert set(found.split()) == {"slipway", "slipway.errors", "slipway.ui", "slipway.ui.views"}


def test_a_family_and_invokes_other_formats_are_listed_as_invoke_does() -> None:
    assert run("--list", "lab").startswith("Available 'lab' tasks:\n")
    assert run("--list", "--list-format=nested").startswith("Available tasks ('*' denotes collection defaults):\n")
    listed = json.loads(run("--list", "--list-format=json"))
    assert {"deploy", "test", "lint"} <= {task["name"] for task in listed["tasks"]}
    assert {"cluster", "lab"} <= {family["name"] for family in listed["collections"]}
