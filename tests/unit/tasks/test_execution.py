"""What a command leaves behind: the logs of the newest runs, and of those that may go on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tasks import execution


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
