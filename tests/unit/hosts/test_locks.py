"""Locks between processes: waited for, reported, and held by a command that outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled, Problem
from slipway.hosts import locks

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
    import subprocess, sys, time
    from pathlib import Path
    from slipway.hosts import locks
    from slipway.engine.cancellation import Cancel
    with locks.file_lock(Path(sys.argv[1]), "the holder", print, Cancel()) as lock:
        subprocess.Popen(["sleep", "2"], pass_fds=(lock,), start_new_session=True)
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_killed_holders_command_keeps_the_lock_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    words = [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ))
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    began = time.monotonic()
    said: list[str] = []
    with locks.file_lock(path, "me", said.append, Cancel()):
        assert time.monotonic() - began > 1
    assert said == ["the holder"]


def test_a_wait_ends_when_the_run_is_cancelled(tmp_path: Path) -> None:
    cancel = Cancel()
    with locks.file_lock(tmp_path / "y", "one", lambda _: None, Cancel()):
        cancel.request()
        with pytest.raises(Cancelled), locks.file_lock(tmp_path / "y", "two", lambda _: None, cancel):
            pass


def test_a_session_and_cron_lock_the_same_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    session = locks.user_lock_path("x"), locks.docker_lock_path("x")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert (locks.user_lock_path("x"), locks.docker_lock_path("x")) == session
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user's"))
    assert locks.docker_lock_path("x") == session[1]


def test_users_share_a_lock_in_a_folder_that_all_may_write_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locks, "SHARED_FOLDERS", (tmp_path / "absent", tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert locks.docker_lock_path("x").is_relative_to(tmp_path / "state")
    tmp_path.chmod(0o1777)
    path = locks.docker_lock_path("x")
    assert path.parent == tmp_path
    before = os.umask(0o077)
    try:
        with locks.file_lock(path, "one", lambda _: None, Cancel()):
            assert path.stat().st_mode & 0o777 == 0o666
            assert path.read_text() == "one"
    finally:
        os.umask(before)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    with locks.file_lock(path, "two", lambda _: None, Cancel()):
        assert path.read_text() == "two"
    assert path.read_text() == ""


@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe", "folder"])
def test_a_lock_is_a_plain_file_and_nothing_is_written_through_a_link(tmp_path: Path, kind: str) -> None:
    victim, path = tmp_path / "victim", tmp_path / "x.lock"
    victim.write_text("precious")
    make: dict[str, Callable[[], object]] = {
        "symbolic": lambda: path.symlink_to(victim),
        "hard": lambda: path.hardlink_to(victim),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    make[kind]()
    with pytest.raises(Problem, match="can't be opened"), locks.file_lock(path, "me", lambda _: None, Cancel()):
        pass
    assert victim.read_text() == "precious"


def test_a_lock_whose_file_was_removed_is_created_again_and_its_holders_text_is_only_shown(tmp_path: Path) -> None:
    path, said = tmp_path / "x.lock", list[str]()
    cancel = Cancel()

    def hear(who: str) -> None:
        said.append(who)
        cancel.request()

    with locks.file_lock(path, "evil \x1b[2J", lambda _: None, Cancel()):
        with pytest.raises(Cancelled), locks.file_lock(path, "two", hear, cancel):
            pass
        assert said == ["evil [2J"]
        path.unlink()
        with locks.file_lock(path, "three", lambda _: None, Cancel()):
            assert path.read_text() == "three"


def test_a_lock_that_becomes_something_else_while_it_is_waited_for_closes_no_file_of_others(tmp_path: Path) -> None:
    path = tmp_path / "z"

    def become_a_link(_: str) -> None:
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere")

    waiting = locks.file_lock(path, "two", become_a_link, Cancel())
    with locks.file_lock(path, "one", lambda _: None, Cancel()), pytest.raises(Problem, match="can't be opened"):
        waiting.__enter__()
