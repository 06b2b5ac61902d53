"""What a command leaves behind: the logs of the newest runs, and of those that may go on."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from invoke import Exit

from slipway.engine.reporter import Reporter
from slipway.engine.steps import one_shot
from tasks import execution
from tasks.invocation import Invocation


def test_the_log_of_a_run_that_goes_on_is_kept_however_many_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "RUNS", tmp_path)
    long_ago = time.time() - 2 * execution.RECENT
    for number in range(execution.KEEP + 4):
        log = tmp_path / f"{number:03}" / "events.jsonl"
        log.parent.mkdir()
        log.touch()
        for path in (log, log.parent):
            os.utime(path, (long_ago, long_ago))
    (tmp_path / "001" / "events.jsonl").touch()  # a line was just written
    execution._remove_old_runs()
    kept = sorted(folder.name for folder in tmp_path.iterdir())
    assert kept == ["001", *(f"{number:03}" for number in range(4, execution.KEEP + 4))]


def test_a_run_leaves_how_it_ended_for_the_next_of_the_same_command_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Reporter) -> None:
        raise ValueError

    def body(invocation: Invocation, *, ends_well: bool) -> None:
        steps = [one_shot("a", "a", _nothing), one_shot("b", "b", _nothing)]
        invocation.run([*steps, one_shot("c", "c", _nothing if ends_well else fail)], locks_docker=False)

    monkeypatch.setattr(execution, "RUNS", tmp_path)
    flags = {"output": "plain", "env": "minikube", "settings": "", "services": "", "yes": True}
    execution.execute(body, "deploy", flags, {"ends_well": True})
    with pytest.raises(Exit):
        execution.execute(body, "deploy", flags, {"ends_well": False})
    found = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("*/outcome.json"))]
    assert {one["command"] for one in found} == {"deploy minikube"}
    assert sorted(one["status"] for one in found) == ["done", "failed"]
    assert all(one["steps"] == ["a", "b", "c"] for one in found)


def _nothing(_: Reporter) -> None:
    """The action of a step."""
