"""What `bench` runs, and what it refuses before anything runs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from invoke import Context, Exit

from tasks import dev
from tests.benchmarks.edits import EDITS
from tests.benchmarks.measure import Row


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"profile": "smoke"}, "--profile smoke is not known\n  hint: one of deploy"),
        ({"profile": "deploy", "line": "mail"}, "--line mail is not known\n  hint: one of auth, order, shared"),
        ({"profile": "deploy", "env": "staging"}, "--env staging is not known\n  hint: one of local, minikube"),
        ({"line": "auth"}, "add --profile deploy"),
        ({"only": "daily,weekly"}, "--only weekly is not known\n  hint: some of daily, local,"),
        ({"only": "daily", "defects": True}, "exclude each other"),
        ({"times": 0}, "--times 0 is no number of times\n  hint: 1 or more; 10 without it"),
    ],
)
def test_what_bench_does_not_know_is_refused_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(dev, "prepare", lambda: pytest.fail("it went on"))
    with pytest.raises(Exit) as left:
        dev.bench(Context(), **flags)
    assert left.value.code == 2
    assert said in str(left.value)


@pytest.mark.parametrize(
    ("only", "expected"),
    [("", list(dev.BENCHMARKS)), ("fuzz,daily", ["daily", "fuzz"]), ("walk", ["walk"])],
)
def test_bench_runs_what_only_names_and_everything_without_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], only: str, expected: list[str]
) -> None:
    monkeypatch.setattr(dev, "prepare", lambda: None)
    for name in dev.BENCHMARKS:
        rows = [Row(name, 1.0, 2.0)]
        monkeypatch.setattr(import_module(f"tests.benchmarks.{name}"), "rows", lambda *_, rows=rows: rows)
    dev.bench(Context(), only=only)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == expected


@pytest.mark.parametrize(("flags", "times"), [({}, dev.TIMES), ({"times": 3}, 3)])
def test_figures_of_daily_are_measured_so_often(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: dict[str, int], times: int
) -> None:
    monkeypatch.setattr(dev, "prepare", lambda: None)
    rows = lambda times: [Row("times", float(times), 99.0)]  # noqa: E731
    monkeypatch.setattr(import_module("tests.benchmarks.daily"), "rows", rows)
    dev.bench(Context(), only="daily", **flags)
    assert f" {times}.000 s" in capsys.readouterr().out


def test_a_missed_bar_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "prepare", lambda: None)
    monkeypatch.setattr(import_module("tests.benchmarks.walk"), "rows", lambda: [Row("slow", 3.0, 2.0)])
    with pytest.raises(Exit, match="1 targets were missed") as left:
        dev.bench(Context(), only="walk")
    assert left.value.code == 1


def test_the_lines_that_bench_can_change_are_those_of_the_edits() -> None:
    assert list(dev.LINES) == list(EDITS)
