"""What leaves a session: every view and the log, with no secret in any spelling."""

from __future__ import annotations

import base64
import json
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TextIO
from urllib.parse import quote

import pytest

from slipway.config.models import Environment, Service
from slipway.engine.events import Finished, Outcome, Output, Plan, PlanStep, Status, StepChanged
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem
from slipway.ui.plain import Plain
from slipway.ui.session import Session
from slipway.ui.view import Past, View
from slipway.ui.views import VIEWS
from tests.unit.flows.workspaces import project, workspace

SECRET = "pä$s'w\"ö rd-${HOME}"
SPELLINGS = [
    SECRET,
    json.dumps(SECRET),
    quote(SECRET, safe=""),
    base64.b64encode(SECRET.encode()).decode(),
    shlex.quote(SECRET),
]


@pytest.mark.parametrize("view", ["plain", "json"])
def test_a_masked_value_is_in_no_spelling_in_what_is_shown_or_kept(
    view: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(view, run="r", log=tmp_path)
    session.mask([SECRET])
    session.emit(Plan((PlanStep("a", "a", SECRET),)))
    for text in SPELLINGS:
        session.emit(Output("a", "stdout", f"before {text} after"))
    session.emit(StepChanged("a", "a", Status.FAILED, SECRET, 0.0, f"evidence: {SECRET}"))
    session.problem(Problem(SECRET, details=SECRET, hint=SECRET), 1)
    session.print(f"said {SECRET}")
    session.close()
    shown = capsys.readouterr()
    kept = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    for place in (shown.out, shown.err, kept):
        assert not [text for text in SPELLINGS if text in place or json.dumps(text)[1:-1] in place]
    assert "before *** after" in shown.out
    assert "evidence: ***" in kept


def test_a_short_value_is_not_masked_since_it_would_hide_everything(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session("plain", run="r")
    session.mask(["abc"])
    session.print("abc")
    assert capsys.readouterr().out == "abc\n"


def test_each_line_of_a_value_is_masked_since_text_comes_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session("plain", run="r")
    session.mask(["-----BEGIN KEY-----\n  MIIEowIBAAKC\r\nq8s7\nab\n-----END KEY-----\n"])
    for line in ("MIIEowIBAAKC", "key: q8s7.", "ab"):
        session.print(line)
    assert capsys.readouterr().out == "***\nkey: ***.\nab\n"


@pytest.mark.parametrize("given", [True, False])
def test_what_a_service_prints_is_shown_without_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, given: bool
) -> None:
    """A value that only another machine's environment has hides nothing here, and stops nobody."""
    service = Service.model_validate({"name": "web", "secrets": {"KEY": {"generate": {}}, "OTHER": {"generate": {}}}})
    environment = Environment.model_validate({"name": "local", "secrets": {"OTHER": {"env": "THE_OTHER"}}})
    config = project(tmp_path, [service], environment)
    if given:
        monkeypatch.setenv("THE_OTHER", "verborgen")
    session = Session("plain", run="r")
    work = workspace(config, mask=session.mask)
    work.deployments.secret_store.store({"web.KEY": "geheim"}, null_reporter())
    work.secrets.hide(work.services["web"].settings)
    session.print("geheim verborgen")
    assert capsys.readouterr().out == ("*** ***\n" if given else "*** verborgen\n")


def test_a_view_can_ask_what_earlier_runs_of_the_same_command_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Past] = []

    def open_view(out: TextIO, run: str, past: Past) -> View:
        asked.append(past)
        return Plain(out)

    monkeypatch.setitem(VIEWS, "asking", "asking_view")
    monkeypatch.setitem(sys.modules, "asking_view", SimpleNamespace(open_view=open_view))
    for number, seconds in enumerate((7.0, 8.0)):
        session = Session("asking", run=str(number), log=tmp_path / str(number))
        session.name_run("deploy local")
        session.emit(Plan((PlanStep("a", "a"),)))
        assert [run.seconds for run in asked[-1]()] == ([7.0] if number else [])
        session.emit(Finished(Outcome.DONE, 0, 1, 0, seconds))


def test_a_log_is_this_users_alone(tmp_path: Path) -> None:
    session = Session("json", run="r", log=tmp_path / "run")
    session.emit(Output("a", "note", "x"))
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "run" / "events.jsonl").stat().st_mode & 0o777 == 0o600
