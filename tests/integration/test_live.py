"""The live view on a real terminal: what stands on the screen, at two widths, with and without colour."""

from __future__ import annotations

import os
import re

import pexpect
import pyte
import pytest

from tests.integration.project import ROOT, Project


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
def test_a_run_ends_with_its_tree_one_summary_and_the_address(deployed: Project, columns: int) -> None:
    code, lines, raw = screen(deployed.command("deploy", "--output", "live"), columns)
    text = "\n".join(lines)
    assert code == 0, text
    assert len(re.findall(r"^done: 0 changed, \d+ unchanged in", text, re.MULTILINE)) == 1
    assert f":{deployed.port}" in text.replace("\n", "")
    assert "\x1b[?25h" in raw.rsplit("\x1b[?25l", 1)[-1]  # the cursor is back


def test_a_failure_stands_last_and_in_full_on_a_narrow_screen(project: Project) -> None:
    project.edit("service.yaml", "json: {$: true}", "json: {$: 17}")
    code, lines, _ = screen(project.command("smoke", "--output", "live"), 40)
    text = "".join(lines)
    assert code == 1, text
    summary = text.index("failed: ")
    assert text.index("wanted $ to be 17, got true") > summary


def test_no_color_means_none(deployed: Project) -> None:
    _, _, raw = screen(deployed.command("status"), 80, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", raw)
    _, _, raw = screen(deployed.command("deploy", "--output", "live"), 80, NO_COLOR="1")
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?3[0-7](?:;[0-9;]*)?m", raw)


def test_help_and_list_do_not_need_a_terminal() -> None:
    code, lines, _ = screen([str(ROOT / "invoke"), "--list"], 80)
    assert code == 0
    assert any("deploy" in line for line in lines)
