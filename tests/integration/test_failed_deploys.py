"""Releases that fail, deploys that are killed, and rollbacks, on the real Docker."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.integration.project import Light, greets


def test_a_check_that_never_passes_keeps_the_old_release_and_shows_the_line(light: Light) -> None:
    before = light.digest
    light.edit("service.yaml", '"status": 200', '"status": 418')
    done = light.invoke("deploy", "--output", "json")
    assert done.exit == 1
    assert "expected status 418, got 200" in done.failure("light/smoke")
    assert 'curl "http://127.0.0.1:' in done.failure("light/smoke")
    assert light.digest == before


@pytest.mark.parametrize("killed", [False, True])
def test_a_release_that_fails_only_live_is_rolled_back(light: Light, *, killed: bool) -> None:
    """The release before is restored, even where a deploy that was `killed` had stopped it."""
    before, container = light.digest, str(light.inspect()["Id"])
    light.environment(env={"LEVEL": "debug", "DELAY": "2000"})
    assert light.invoke("smoke").exit == 0
    if killed:
        for words in (["rename", light.container, f"{light.container}_previous"], ["stop", container]):
            subprocess.run(["docker", *words], check=True, capture_output=True)
    killer = f"""
        until docker inspect {light.container}_previous; do sleep 0.02; done
        until docker kill {light.container}; do sleep 0.02; done
    """
    blocked = subprocess.Popen(  # the live container dies as soon as it is there, which no smoke test can predict
        ["sh", "-c", killer],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    done = light.invoke("deploy", "--output", "json")
    blocked.wait(30)
    assert done.exit == 1
    assert done.steps["light/smoke"] in {"changed", "unchanged"}
    assert "is running again" in done.failure("light/release")
    assert (light.digest, light.inspect()["Id"]) == (before, container)
    assert "LEVEL=info" in light.inspect()["Config"]["Env"]
    assert greets(light)


def test_rollback_runs_an_earlier_release_under_its_own_number(light: Light) -> None:
    first = json.loads(light.invoke("history", "--output", "json").out)["releases"]
    number = next(release["number"] for release in first if release["serving"])
    light.environment(env={"LEVEL": "warn"})
    assert light.invoke("deploy").exit == 0
    assert "LEVEL=warn" in light.inspect()["Config"]["Env"]
    assert light.invoke("rollback", "--service", "light", "--to", str(number)).exit == 0
    assert "LEVEL=info" in light.inspect()["Config"]["Env"]
    status = json.loads(light.invoke("status", "--output", "json").out)
    assert status["services"][0]["release"] == number
    for absent in ("999", "0"):
        assert light.invoke("rollback", "--service", "light", "--to", absent).exit == 2


@pytest.mark.parametrize("attempt", range(2, 5))
def test_a_deploy_that_was_killed_during_smoke_test_or_rollout_is_finished_by_the_next(
    light: Light, attempt: int
) -> None:
    light.environment(env={"ATTEMPT": str(attempt), "DELAY": "2000"})
    light.finished_after_a_kill(attempt, 0.5, 4)
    assert greets(light)
