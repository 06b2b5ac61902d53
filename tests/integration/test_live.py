"""The live view on a real terminal: what stands on the screen, at two widths, with and without colour."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.integration.project import ROOT, Light


def screen(words: list[str], columns: int, **env: str) -> tuple[int, list[str], str]:
    """Exit code, the screen's lines at the end, and the raw bytes as text."""
    given = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "200", **env}
    child = pexpect.spawn(words[0], words[1:], dimensions=(200, columns), env=given, timeout=60, encoding="utf-8")
    raw = child.read()
    child.close()
    drawn = pyte.Screen(columns, 200)
    pyte.Stream(drawn).feed(raw)
    return child.exitstatus, [line.rstrip() for line in drawn.display], raw


@pytest.mark.parametrize("columns", [80, 40])
def test_a_run_ends_with_its_board_one_summary_and_the_address(running: Light, columns: int) -> None:
    code, lines, raw = screen(running.command("deploy", "--output", "live"), columns)
    text = "\n".join(lines)
    assert code == 0, text
    assert len(re.findall(r"^done: 0 changed, \d+ unchanged in", text, re.MULTILINE)) == 1
    row = "light" if columns == 80 else "release"  # of one service, the stages are rows where columns have no room
    assert re.search(rf"^{row} +(= +)+unchanged$", text, re.MULTILINE), text
    assert f":{running.port}" in text.replace("\n", "")
    assert "\x1b[?25h" in raw.rsplit("\x1b[?25l", 1)[-1]  # the cursor is back


def test_a_failure_stands_last_and_in_full_on_a_narrow_screen(light: Light) -> None:
    light.edit("service.yaml", '"status": 200', '"status": 418')
    code, lines, _ = screen(light.command("deploy", "--plan", "--output", "live"), 80)
    assert code == 3
    assert any(line.startswith("done: 2 would change, ") for line in lines), lines
    code, lines, _ = screen(light.command("smoke", "--output", "live"), 40)
    text = "".join(lines)
    assert code == 1, text
    summary = text.index("failed: ")
    assert text.index("expected status 418, got 200") > summary


def test_no_color_means_none(running: Light) -> None:
    _, _, raw = screen(running.command("status"), 80, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", raw)
    _, _, raw = screen(running.command("deploy", "--output", "live"), 80, NO_COLOR="1")
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?3[0-7](?:;[0-9;]*)?m", raw)


def test_help_and_list_do_not_need_a_terminal() -> None:
    code, lines, _ = screen([str(ROOT / "invoke"), "--list"], 80)
    assert code == 0
    assert any("deploy" in line for line in lines)


def test_ctrl_c_at_a_password_prompt_ends_it_and_the_terminal_is_as_it_was(tmp_path: Path) -> None:
    """A run that wants sudo's password, by a host whose user is not root and whose probe says so."""
    script = """
import termios
from tasks.passwords import prompt
from tasks.signals import SignalHandler
before = termios.tcgetattr(0)
with SignalHandler() as signals:
    try:
        prompt("password: ", signals.cancel, echo=False)
    except KeyboardInterrupt:
        print("interrupted, as it was:", termios.tcgetattr(0) == before, flush=True)
"""
    child = pexpect.spawn(sys.executable, ["-c", script], cwd=str(ROOT), timeout=20, encoding="utf-8")
    child.expect("password: ")
    child.sendintr()
    child.expect("interrupted, as it was: True")
    child.expect(pexpect.EOF)


def test_followed_logs_end_when_nobody_reads_them_any_more(running: Light) -> None:
    words = shlex.join(running.command("logs", "--service", "light", "--follow"))
    done = subprocess.run(
        ["bash", "-c", f"{words} | head -n 1"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_log_lines_are_events_to_a_script(running: Light) -> None:
    done = running.invoke("logs", "--service", "light", "--tail", "2", "--output", "json")
    assert {event["event"] for event in done.events} == {"output"}
    assert len(done.events) == 2
