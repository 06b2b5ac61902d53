"""Deploys on the real Docker: drift, failures, secrets, and what a user sees of them, the same for every service."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.project import ROOT, Another, Light, Project, greets


def test_a_second_deploy_changes_nothing_and_a_plan_exits_0(running: Light) -> None:
    again = running.invoke("deploy", "--output", "json")
    assert again.exit == 0
    assert set(again.steps.values()) == {"unchanged"}
    assert running.invoke("deploy", "--plan").exit == 0


def test_every_line_of_json_is_an_event_with_its_envelope(running: Light) -> None:
    events = running.invoke("deploy", "--output", "json").events
    assert [events[0]["event"], events[-1]["event"]] == ["plan", "finished"]
    assert all({"time", "run", "event"} <= set(event) for event in events)
    assert {"status", "changed", "unchanged", "failed", "seconds"} <= set(events[-1])
    assert set(events[0]["steps"][0]) == {"id", "title", "reason"}


def test_status_and_history_are_one_document_each(running: Light) -> None:
    status = json.loads(running.invoke("status", "--output", "json").out)
    assert set(status) == {"environment", "services", "nodes", "warnings"}
    service = status["services"][0]
    assert (service["name"], service["ready"], service["digest"]) == ("light", 1, running.digest)
    history = json.loads(running.invoke("history", "--output", "json").out)["releases"]
    assert set(history[0]) == {"service", "number", "time", "who", "commit", "image", "checks", "serving"}
    assert [release["serving"] for release in history].count(True) == 1


@pytest.mark.parametrize(
    ("hand", "reason"),
    [
        (["docker", "rm", "-f", "{}"], "does not exist"),
        (["docker", "stop", "{}"], "it is exited"),
        (["docker", "update", "--memory", "300m", "--memory-swap", "600m", "{}"], "memory limit was changed"),
        (["docker", "rename", "{}", "{}_elsewhere"], "does not exist"),
        (["docker", "network", "disconnect", "NETWORK", "{}"], "it is not on network"),
    ],
)
def test_a_change_by_hand_is_reported_by_a_plan_and_reverted_by_a_deploy(
    light: Light, hand: list[str], reason: str
) -> None:
    words = [light.name if word == "NETWORK" else word.format(light.container) for word in hand]
    subprocess.run(words, check=True, capture_output=True)
    planned = light.invoke("deploy", "--plan", "--output", "json")
    assert planned.exit == 3
    assert any(reason in step["reason"] for step in planned.events[0]["steps"])
    subprocess.run(["docker", "rm", "-f", f"{light.container}_elsewhere"], check=False, capture_output=True)
    assert light.invoke("deploy").exit == 0
    assert greets(light)


def test_a_changed_environment_and_a_rotated_secret_are_drift(light: Light) -> None:
    light.environment(env={"LEVEL": "debug"})
    planned = light.invoke("deploy", "--plan")
    assert planned.exit == 3
    assert re.search(r"^done: 2 would change, \d+ unchanged in", planned.out, re.MULTILINE), planned.out
    assert "its environment variables differ: LEVEL" in planned.out
    assert light.invoke("deploy").exit == 0
    assert "LEVEL=debug" in light.inspect()["Config"]["Env"]
    light.environment(secrets={"SECRET": {"env": "ROTATED"}})
    light.env["ROTATED"] = "MDEyMzQ1Njc4OWFiY2RlZg"
    planned = light.invoke("deploy", "--plan", "--output", "json")
    assert planned.exit == 3
    assert "its environment variables differ: LEVEL, SECRET" in planned.out
    assert light.invoke("deploy").exit == 0
    assert "SECRET=MDEyMzQ1Njc4OWFiY2RlZg" in light.inspect()["Config"]["Env"]
    del light.env["ROTATED"]
    missing = light.invoke("deploy")
    assert missing.exit == 2
    assert "ROTATED is not set" in missing.out + missing.err


def test_a_container_that_somebody_else_created_under_the_name_is_refused_and_left_alone(light: Light) -> None:
    subprocess.run(["docker", "rm", "-f", light.container], check=True, capture_output=True)
    made = subprocess.check_output(["docker", "create", "--name", light.container, "slipway/nothing:1"], text=True)
    try:
        done = light.invoke("deploy", "--output", "json")
        assert done.exit == 1
        assert f"container {light.container} already exists, created by hand" in done.failure("light/release")
        assert light.inspect()["Id"] == made.strip()
    finally:
        subprocess.run(["docker", "rm", "-f", light.container], check=True, capture_output=True)


def test_a_secret_with_difficult_characters_arrives_whole_and_appears_nowhere(light: Light) -> None:
    value = "pä$s'w\"ö rd-${HOME}-\\n-äöü"
    light.edit("service.yaml", '"secrets": {', '"secrets": {"PASSPHRASE": {"generate": {}}, ')
    light.environment(secrets={"PASSPHRASE": {"env": "THE_PASSPHRASE"}})
    light.env["THE_PASSPHRASE"] = value
    done = light.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    assert f"PASSPHRASE={value}" in light.inspect()["Config"]["Env"]
    run = ROOT / ".slipway" / "runs" / done.events[0]["run"]
    logs = light.invoke("logs", "--service", "light").out
    layers = subprocess.check_output(["docker", "history", "--no-trunc", light.digest], text=True)
    labels = json.dumps(light.inspect()["Config"]["Labels"], ensure_ascii=False)
    written = "".join(path.read_text() for path in run.rglob("*") if path.is_file())
    for place in (done.out, done.err, logs, layers, labels, written):
        assert value not in place
        assert json.dumps(value)[1:-1] not in place


@pytest.mark.parametrize(("team", "built"), [(Another, "shop/jar"), (Light, "light/image")])
def test_a_port_in_use_is_reported_with_its_process_and_a_free_port_before_anything_is_built(
    team: type[Project], built: str, tmp_path: Path
) -> None:
    project = team(tmp_path / "p")
    with socket.socket() as other:
        other.bind(("127.0.0.1", project.port))
        other.listen()
        done = project.invoke("deploy", "--output", "json")
    project.purge()
    assert done.exit in {1, 4}
    said = done.failure(f"{project.of}/port")
    assert f"port {project.port} is taken" in said
    assert f"(pid {os.getpid()})" in said
    assert "publish: " in said
    assert done.steps[built] == "skipped"


def test_down_keeps_secrets_and_history_and_purge_removes_them(light: Light) -> None:
    first = json.loads(light.invoke("history", "--output", "json").out)["releases"][0]["number"]
    key = [line for line in light.inspect()["Config"]["Env"] if line.startswith("SECRET")]
    assert light.invoke("down").exit == 0
    assert subprocess.run(["docker", "inspect", light.container], capture_output=True, check=False).returncode != 0
    assert light.invoke("deploy").exit == 0
    assert [line for line in light.inspect()["Config"]["Env"] if line.startswith("SECRET")] == key
    assert json.loads(light.invoke("history", "--output", "json").out)["releases"][0]["number"] == first + 1
    assert light.invoke("down", "--purge").exit == 0
    left = subprocess.check_output(["docker", "volume", "ls", "-q", "--filter", f"label=slipway.project={light.name}"])
    assert not left


def test_a_service_whose_folder_is_gone_is_reported_and_can_be_removed(light: Light) -> None:
    assert light.invoke("deploy").exit == 0
    away = light.folder / "away"
    light.service.rename(away)
    (light.folder / "settings" / "environments" / "local.yaml").write_text("{}")
    try:
        assert f"./invoke down --service {light.of}" in light.invoke("status").out
        assert light.invoke("down").exit == 0
        assert light.inspect()["State"]["Running"]
        assert light.invoke("down", "--service", "other").exit == 2
        assert light.invoke("down", "--service", light.of).exit == 0
        assert subprocess.run(["docker", "inspect", light.container], capture_output=True, check=False).returncode != 0
    finally:
        away.rename(light.service)
        light.environment()
