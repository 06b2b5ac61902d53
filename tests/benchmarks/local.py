"""What a developer waits for every day on this machine: the list of tasks, and a deploy with nothing to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.measure import Row, command, in_turn

ROOT = Path(__file__).resolve().parents[2]


def rows() -> Iterator[Row]:
    """The list of tasks against bare Invoke with one task; a no-op `up` against what Docker alone needs to answer."""
    invoke = str(ROOT / "invoke")
    with TemporaryDirectory() as folder:
        task = "from invoke import task\n\n\n@task\ndef nothing(c):\n    pass\n"
        (Path(folder) / "tasks.py").write_text(task)
        bare = command([str(Path(sys.executable).with_name("invoke")), "--list"], Path(folder))
        ours, theirs = in_turn(command([invoke, "--list"]), bare, 15)
    yield Row("./invoke --list", ours, 1.2, "invoke --list", theirs)
    command([invoke, "up"])()
    ours, _ = in_turn(command([invoke, "up"]), command(["docker", "ps"]), 7)
    yield Row("./invoke up, nothing to do", ours, 1.5)
