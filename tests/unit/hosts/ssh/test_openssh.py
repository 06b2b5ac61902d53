"""OpenSSH's programs are asked, and looked after, as any command is."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from slipway.engine.cancellation import Cancel
from slipway.errors import Cancelled
from slipway.hosts.ssh import openssh


def test_the_home_folder_is_the_one_that_ssh_takes_whatever_home_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    said = subprocess.check_output(["ssh", "-F", "none", "-G", "-o", "ControlPath=%d/x", "box"], text=True)
    assert f"controlpath {openssh.home_folder()}/x" in said.splitlines()
    assert openssh.expand_user("~/x") == openssh.home_folder() / "x"
    assert openssh.expand_user("~") == openssh.home_folder()


def test_a_program_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssh, "TIMEOUT", 0.1)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="sh produced no answer for 0"):
        openssh.run("sh", "-c", "sleep 60 & wait", cancel=Cancel())
    assert time.monotonic() - began < 30


def test_nothing_is_asked_after_ctrl_c(tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.request()
    with pytest.raises(Cancelled):
        openssh.run("touch", str(tmp_path / "asked"), cancel=cancel)
    assert not (tmp_path / "asked").exists()
    assert openssh.run("cat", cancel=Cancel(), stdin="text").stdout == "text"
