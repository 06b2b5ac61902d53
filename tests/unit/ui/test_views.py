"""The registry of views: what `--output` offers, and that Rich is imported only where it draws."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from slipway.engine.events import ComputedPlan, Event, Finished, Outcome, Output, Plan, PlanStep, fields
from slipway.errors import UsageError
from slipway.ui.views import VIEWS, choose_view, open_view


@pytest.mark.parametrize("name", VIEWS)
def test_every_registered_view_opens_and_draws_a_run(name: str) -> None:
    out = io.StringIO()
    view = open_view(name, out, "r")
    view.event(Plan((PlanStep("auth/jar", "build the jar"),)))
    view.event(Finished(Outcome.DONE, 1, 0, 0, 2.0))
    view.close()
    assert "done" in out.getvalue()
    assert view.machine_readable == (name == "json")


@pytest.mark.parametrize(("name", "line"), [("live", "=  auth/jar"), ("plain", "unchanged     auth/jar")])
def test_a_plan_in_which_nothing_would_change_shows_each_step_as_unchanged(name: str, line: str) -> None:
    steps = (PlanStep("auth/jar", "build the jar"),)
    assert line in drawn(name, ComputedPlan(steps), Finished(Outcome.DONE, 0, 1, 0, 0.1))
    assert fields(ComputedPlan(steps)) == fields(Plan(steps))


def test_a_line_of_colours_alone_is_no_line() -> None:
    lines = drawn("plain", *(Output("auth/jar", "stdout", text) for text in ("one", "\x1b[0m\x1b[m", "two")))
    assert lines == "auth/jar | one\nauth/jar | two\n"


def drawn(name: str, *events: Event) -> str:
    out = io.StringIO()
    view = open_view(name, out, "r")
    for event in events:
        view.event(event)
    view.close()
    return out.getvalue()


def test_an_unknown_output_format_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match="unknown output format: loud") as caught:
        choose_view("loud")
    assert caught.value.hint == "use one of: auto, live, plain, json"


def test_auto_is_plain_where_standard_output_is_no_terminal() -> None:
    assert choose_view("auto") == "plain"


def test_rich_is_imported_by_the_live_view_alone() -> None:
    code = "import io, sys; from slipway.ui import session, views; views.open_view('{}', io.StringIO(), 'r'); {}"
    for name, expected in (("plain", False), ("json", False), ("live", True)):
        program = code.format(name, f"assert ('rich' in sys.modules) == {expected}")
        subprocess.run([sys.executable, "-c", program], check=True)
