"""Another team's service, laid out in its own way: no conf.edn, no ring, its own port, Dockerfile and jar name.

It is built, and what becomes of builds that fail, or are killed or interrupted.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from tests.integration.project import ROOT, Another, greets

CORE = "code/shop/core.clj"


def test_it_is_built_checked_and_deployed(another: Another) -> None:
    assert greets(another)
    status = json.loads(another.invoke("status", "--output", "json").out)
    assert [one["name"] for one in status["services"]] == ["shop"]
    assert another.invoke("deploy", "--plan").exit == 0
    assert list((another.service / "target").glob("the-shop.*.jar"))


@pytest.mark.parametrize(
    ("broken", "step", "headline", "words"),
    [
        ("(nope!)", "shop/jar", "shop: shop/core.clj:1: Unable to resolve symbol: nope!", "shop/core.clj:1"),
        (
            '(when-not *compile-files* (throw (Exception. "dies at start")))',
            "shop/smoke",
            "shop: it exited with code 1",
            "dies at start",
        ),
    ],
)
def test_a_broken_handler_is_explained_and_the_old_release_keeps_running(
    another: Another, broken: str, step: str, headline: str, words: str
) -> None:
    before = another.digest
    another.edit(CORE, "(ns shop.core", f"{broken}\n(ns shop.core")
    done = another.invoke("deploy", "--output", "json")
    assert done.exit == 1
    assert done.steps[step] == "failed"
    assert done.steps["shop/release"] == "skipped"
    assert done.failure(step).startswith(headline)
    assert words in done.failure(step)
    assert another.digest == before
    assert greets(another)
    kept = ROOT / ".slipway" / "runs" / done.events[0]["run"] / f"{step.replace('/', '-')}.txt"
    assert words in kept.read_text()


@pytest.mark.parametrize("attempt", range(2))
def test_a_deploy_that_was_killed_during_the_build_is_finished_by_the_next(another: Another, attempt: int) -> None:
    another.edit(CORE, "(ns shop.core", f";; {attempt}\n(ns shop.core")
    another.finished_after_a_kill(attempt, 1 + 3 * attempt, 4 + 3 * attempt)
    assert greets(another)


def test_ctrl_c_ends_a_run_within_5_seconds_reports_what_is_not_done_and_the_next_run_continues(
    another: Another,
) -> None:
    another.edit(CORE, "(ns shop.core", ";; interrupted\n(ns shop.core")
    running = subprocess.Popen(another.command("deploy"), stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert running.stdout
    for line in running.stdout:
        if "Compiling" in line:
            break
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    rest = running.stdout.read()
    assert running.wait(10) == 130
    assert time.monotonic() - began < 5
    assert "not done: shop: jar" in rest
    assert "interrupted" in rest
    assert not subprocess.run(["pgrep", "-f", str(another.service)], capture_output=True, check=False).stdout
    assert another.invoke("deploy").exit == 0


def test_a_source_that_is_edited_while_it_is_built_makes_no_jar_of_another_source(another: Another) -> None:
    another.edit(CORE, "(ns shop.core", ";; before\n(ns shop.core")
    before = {path.name for path in (another.service / "target").glob("the-shop.*.jar")}
    running = subprocess.Popen(another.command("build"), stdout=subprocess.PIPE, text=True)
    assert running.stdout
    for line in running.stdout:
        if "Compiling" in line:
            break
    another.edit(CORE, ";; before", ";; after")
    rest = running.stdout.read()
    assert running.wait(120) == 1, rest
    assert "shop: its sources changed while it was built" in rest
    assert {path.name for path in (another.service / "target").glob("the-shop.*.jar")} <= before
    assert another.invoke("deploy").exit == 0
