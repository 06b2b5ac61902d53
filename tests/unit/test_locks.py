"""Locks between processes: waited for and said, and held by a command that outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from slipway.errors import Cancelled
from slipway.hosts import locks
from slipway.steps import Cancel

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
    import subprocess, sys, time
    from slipway.hosts import locks
    from slipway.steps import Cancel
    with locks.held("x", "the holder", print, Cancel()) as lock:
        subprocess.Popen(["sleep", "2"], pass_fds=(lock,), start_new_session=True)
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_a_killed_holders_command_goes_on_holding_and_its_end_frees_the_lock() -> None:
    words = [sys.executable, "-c", textwrap.dedent(HOLDER)]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ))
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    said: list[str] = []
    with locks.held("x", "me", said.append, Cancel()):
        assert time.monotonic() - began > 1
    assert said == ["the holder"]


def test_a_wait_ends_when_the_run_is_cancelled() -> None:
    cancel = Cancel()
    with locks.held("y", "one", lambda _: None, Cancel()):
        cancel.request()
        with pytest.raises(Cancelled), locks.held("y", "two", lambda _: None, cancel):
            pass
