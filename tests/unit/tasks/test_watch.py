"""`--watch`: a run after each save, the newest wins, and what ends it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invoke import Exit

from slipway.engine.reporter import Reporter
from slipway.engine.steps import one_shot
from slipway.errors import Problem
from tasks import execution, watch
from tasks.exit_codes import ExitCode
from tasks.invocation import Invocation


class Team:
    """A team's project of one service, and what a watched command did of it: `ran` has what it read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran, self.ended = folder, list[str](), list[str]()
        self.source, self.service_file = (
            folder / "services" / "web" / "page",
            folder / "services" / "web" / "service.yaml",
        )
        self.steps: list[Callable[[Reporter], None]] = []  # what the runs do, the first one first
        self.source.parent.mkdir(parents=True)
        (folder / "settings").mkdir()
        (folder / "settings" / "slipway.yaml").write_text("name: team\nshort: te\n")
        (self.source.parent / "Dockerfile").write_text("FROM scratch\nCOPY page /\n")
        self.service_file.write_text("name: web\nport: 80\nbuild: none\n")
        self.source.write_text("0")

    def body(self, invocation: Invocation, service: str) -> None:  # noqa: ARG002  of all services
        """Read the source, and act as the next of `steps` says."""
        self.ran.append(self.source.read_text() if self.source.exists() else "")
        step = self.steps.pop(0) if self.steps else interrupt
        try:
            invocation.run([one_shot("web", "web", step)], locks_docker=False)
        finally:
            self.ended.append(str(invocation.result.outcome) if invocation.result else "")

    def watch(self, service: str = "", **flags: Any) -> int:
        """Run until something ends it; its exit code."""
        settings, services = str(self.folder / "settings"), str(self.folder / "services")
        given = {"output": "json", "env": "local", "settings": settings, "services": services, "yes": "", "plan": False}

        def body(invocation: Invocation, *, service: str) -> None:
            watch.run_after_each_save(invocation, self.body, service)

        with pytest.raises(Exit) as ended:
            execution.execute(body, "deploy", {**given, **flags}, {"service": service})
        return int(ended.value.code)

    def save(self, text: str) -> Callable[[Reporter], None]:
        """A step behind which the source is saved, a moment later."""
        return later(lambda: self.source.write_text(text))


def later(save: Callable[[], object]) -> Callable[[Reporter], None]:
    def step(_: Reporter) -> None:
        threading.Timer(0.5, save).start()

    return step


def interrupt(report: Reporter) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    report.cancel.wait(10)


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.setattr(execution, "RUNS", tmp_path / "runs")
    return Team(tmp_path)


def test_each_save_is_a_run_of_its_own_and_ctrl_c_ends_it(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    team.steps = [team.save("1"), team.save("2")]
    assert team.watch() == ExitCode.INTERRUPTED
    assert team.ran == ["0", "1", "2"]
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({event["run"] for event in events if event["event"] == "plan"}) == 3
    logs = [log.read_text() for log in (team.folder / "runs").glob("*/events.jsonl")]
    assert sum('"event": "plan"' in log for log in logs) == 3
    assert (events[-1]["event"], events[-1]["status"]) == ("finished", "interrupted")


def test_ctrl_c_between_two_runs_ends_it_too(team: Team) -> None:
    team.steps = [later(lambda: os.kill(os.getpid(), signal.SIGINT))]
    assert team.watch() == ExitCode.INTERRUPTED
    assert team.ran == ["0"]


def test_a_save_during_a_run_ends_it_and_the_newest_is_run(team: Team) -> None:
    def save_twice_and_wait(report: Reporter) -> None:
        team.source.write_text("1")
        team.source.write_text("2")
        report.cancel.wait(20)

    team.steps = [save_twice_and_wait]
    assert team.watch() == ExitCode.INTERRUPTED
    assert (team.ran, team.ended[0]) == (["0", "2"], "interrupted")


def test_a_failed_run_is_shown_and_the_next_save_is_run(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(report: Reporter) -> None:
        team.save("1")(report)
        raise Problem("it is broken")

    team.steps = [fail]
    assert team.watch(output="plain") == ExitCode.INTERRUPTED
    assert (team.ran, team.ended[0]) == (["0", "1"], "failed")
    assert "it is broken" in capsys.readouterr().out


def test_an_edit_of_the_configuration_counts_and_one_that_breaks_it_is_told(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    valid = team.service_file.read_text()

    def broken_and_mended(_: Reporter) -> None:
        threading.Timer(0.5, team.service_file.write_text, ("name: [",)).start()
        threading.Timer(2.5, team.service_file.write_text, (f"{valid}env: {{A: b}}\n",)).start()

    team.steps = [broken_and_mended]
    assert team.watch(output="plain") == ExitCode.INTERRUPTED
    assert team.ran == ["0", "0"]
    assert f"{team.service_file}:1: " in capsys.readouterr().err


def test_what_can_never_run_is_no_reason_to_wait(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert team.watch("nobody", output="plain") == ExitCode.USAGE
    assert "unknown service: nobody" in capsys.readouterr().err
    assert team.watch(plan=True, output="plain") == ExitCode.USAGE
    team.service_file.write_text("name: [")
    assert team.watch(output="plain") == ExitCode.USAGE
    assert team.ran == []


def test_a_service_that_is_removed_meanwhile_counts_and_one_that_comes_back_is_run(team: Team) -> None:
    folder, aside = team.source.parent, team.folder / "aside"

    def move(_: Reporter) -> None:
        threading.Timer(0.5, folder.rename, (aside,)).start()
        threading.Timer(2.5, aside.rename, (folder,)).start()

    team.steps = [move, lambda _: None]
    assert team.watch() == ExitCode.INTERRUPTED
    assert team.ran == ["0", "", "0"]
