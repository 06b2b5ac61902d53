"""What earlier runs took: which of them count, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from slipway.engine.events import Finished, Outcome, Plan, PlanStep, Status, StepChanged
from slipway.ui import past_runs
from slipway.ui.past_runs import PastRun, expected
from slipway.ui.run_log import RunLog

STEPS = ("auth/jar", "auth/image")


def run(
    folder: Path, seconds: float, *changed: str, command: str = "deploy local", status: Outcome = Outcome.DONE,
    steps: Iterable[str] = STEPS,
) -> RunLog:  # fmt: skip
    """The log of a run, as a session writes it."""
    log = RunLog(folder, "r")
    log.command = command
    log.write(Plan(tuple(PlanStep(step, step) for step in steps)))
    for step in changed:
        log.write(StepChanged(step, step, Status.CHANGED))
    log.write(Finished(status, len(changed), 0, 0, seconds))
    return log


def seconds(log: RunLog) -> list[float]:
    return [past.seconds for past in log.past_runs()]


def test_runs_of_the_same_command_environment_and_steps_that_ended_well_are_read_the_newest_first(
    tmp_path: Path,
) -> None:
    run(tmp_path / "1", 10)
    run(tmp_path / "2", 20, *STEPS)
    run(tmp_path / "3", 30, command="deploy minikube")
    run(tmp_path / "4", 40, command="build local")
    run(tmp_path / "5", 50, status=Outcome.FAILED)
    run(tmp_path / "6", 60, steps=["order/jar"])
    run(tmp_path / "7", 70, command="")
    for name, text in {"cut": '{"command": "depl', "other": "[]", "none": None}.items():
        (tmp_path / name).mkdir()
        if text:
            (tmp_path / name / past_runs.FILE).write_text(text)
    now = RunLog(tmp_path / "8", "r")
    now.write(Plan(tuple(PlanStep(step, step) for step in STEPS)))
    assert seconds(now) == []  # nobody has said what runs
    now.command = "deploy local"
    assert seconds(now) == [20, 10]
    assert now.past_runs()[0].changed == set(STEPS)
    assert (tmp_path / "1" / past_runs.FILE).stat().st_mode & 0o777 == 0o600


def test_only_the_newest_runs_are_looked_at(tmp_path: Path) -> None:
    for number in range(past_runs.LOOKED_AT + 10):
        run(tmp_path / f"{number:03}", number)
    found = seconds(run(tmp_path / "999", 999))
    assert len(found) == past_runs.LOOKED_AT
    assert min(found) == 11


@pytest.mark.parametrize(
    ("acting", "unchanged", "usual"),
    [
        ("", "", 21.0),  # nothing is known yet: the median of all
        ("jar", "", 60.0),
        ("jar image", "", 65.0),
        ("", "jar", 3.0),
        ("image", "jar", 21.0),
        ("release", "", None),
    ],
)
def test_the_usual_time_is_the_median_of_those_that_had_as_much_to_do(
    acting: str, unchanged: str, usual: float | None
) -> None:
    past = [(70, "jar image"), (60, "jar image"), (1, ""), (21, "image"), (2, ""), (55, "jar"), (3, ""), (900, "")]
    runs = [PastRun("deploy local", "done", took, frozenset(), frozenset(names.split())) for took, names in past]
    assert expected(runs, set(acting.split()), set(unchanged.split())) == usual
