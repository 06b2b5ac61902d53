"""The whole chain on the real Docker: deploy, drift, failures, secrets, and what a user sees of them."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from jwcrypto import jwe, jwk

from tests.integration.project import ROOT, Project

TOKEN = "/tokens?uid=hhuser&pwd=hhuser"


def token(project: Project) -> str:
    answer = requests.get(project.url(TOKEN), timeout=10)
    assert answer.status_code == 200
    return answer.headers["Authorization"].removeprefix("Bearer ")


def valid(project: Project, value: str, perms: str = "order.read") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {value}"}
    answer = requests.post(project.url("/tokens/validate"), data={"perms": perms}, headers=headers, timeout=10)
    return answer.status_code, answer.json()


def digest(project: Project) -> str:
    return str(project.inspect()["Image"])


def test_a_token_opens_with_the_containers_key_and_a_tampered_one_is_refused(deployed: Project) -> None:
    env = dict(line.split("=", 1) for line in deployed.inspect()["Config"]["Env"])
    value = token(deployed)
    assert len(value.split(".")) == 5
    opened = jwe.JWE()
    opened.deserialize(value, jwk.JWK(kty="oct", k=env["AUTH_KEY"]))
    assert json.loads(opened.payload)
    assert valid(deployed, value) == (200, True)
    assert valid(deployed, value, "user.admin") == (200, False)
    assert valid(deployed, value[:-3] + "AAA")[0] == 401


def test_the_container_is_as_people_expect_and_unprivileged(deployed: Project) -> None:
    found = deployed.inspect()
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"
    assert found["Config"]["User"] not in {"", "root", "0", "0:0"}
    assert "auth" in found["NetworkSettings"]["Networks"][deployed.name]["Aliases"]


def test_a_second_deploy_changes_nothing_and_a_plan_exits_0(deployed: Project) -> None:
    again = deployed.invoke("deploy", "--output", "json")
    assert again.exit == 0
    assert set(again.steps.values()) == {"unchanged"}
    assert deployed.invoke("deploy", "--plan").exit == 0


def test_every_line_of_json_is_an_event_with_its_envelope(deployed: Project) -> None:
    events = deployed.invoke("deploy", "--output", "json").events
    assert [events[0]["event"], events[-1]["event"]] == ["plan", "finished"]
    assert all({"time", "run", "event"} <= set(event) for event in events)
    assert {"status", "changed", "unchanged", "failed", "seconds"} <= set(events[-1])
    assert set(events[0]["steps"][0]) == {"id", "title", "reason"}


def test_status_and_history_are_one_document_each(deployed: Project) -> None:
    status = json.loads(deployed.invoke("status", "--output", "json").out)
    assert set(status) == {"environment", "services", "nodes", "warnings"}
    service = status["services"][0]
    assert (service["name"], service["ready"], service["digest"]) == ("auth", 1, digest(deployed))
    history = json.loads(deployed.invoke("history", "--output", "json").out)["releases"]
    assert set(history[0]) == {"service", "number", "time", "who", "commit", "image", "checks", "serving"}
    assert [release["serving"] for release in history].count(True) == 1


def test_an_old_token_is_valid_after_a_restart(deployed: Project) -> None:
    before, value = deployed.inspect()["State"]["StartedAt"], token(deployed)
    assert deployed.invoke("restart", "--service", "auth").exit == 0
    assert deployed.inspect()["State"]["StartedAt"] != before
    assert valid(deployed, value) == (200, True)


@pytest.mark.parametrize(
    ("hand", "reason"),
    [
        (["docker", "rm", "-f", "{}"], "is not there"),
        (["docker", "stop", "{}"], "it is exited"),
        (["docker", "update", "--memory", "300m", "--memory-swap", "600m", "{}"], "memory limit was changed"),
        (["docker", "rename", "{}", "{}_elsewhere"], "is not there"),
        (["docker", "network", "disconnect", "NETWORK", "{}"], "it left network"),
    ],
)
def test_what_a_hand_changed_is_named_by_a_plan_and_mended_by_a_deploy(
    project: Project, hand: list[str], reason: str
) -> None:
    words = [project.name if word == "NETWORK" else word.format(project.container) for word in hand]
    subprocess.run(words, check=True, capture_output=True)
    planned = project.invoke("deploy", "--plan", "--output", "json")
    assert planned.exit == 3
    assert any(reason in step["reason"] for step in planned.events[0]["steps"])
    subprocess.run(["docker", "rm", "-f", f"{project.container}_elsewhere"], check=False, capture_output=True)
    assert project.invoke("deploy").exit == 0
    assert token(project)


def test_a_changed_environment_and_a_rotated_secret_are_drift(project: Project) -> None:
    project.environment({"auth": {"env": {"LOG_LEVEL": "debug"}}})
    assert project.invoke("deploy", "--plan").exit == 3
    assert project.invoke("deploy").exit == 0
    assert "LOG_LEVEL=debug" in project.inspect()["Config"]["Env"]
    project.environment({"secrets": {"AUTH_KEY": {"env": "ROTATED"}}})
    project.env["ROTATED"] = "MDEyMzQ1Njc4OWFiY2RlZg"
    planned = project.invoke("deploy", "--plan", "--output", "json")
    assert planned.exit == 3
    assert project.invoke("deploy").exit == 0
    assert "AUTH_KEY=MDEyMzQ1Njc4OWFiY2RlZg" in project.inspect()["Config"]["Env"]
    del project.env["ROTATED"]
    missing = project.invoke("deploy")
    assert missing.exit == 2
    assert "ROTATED is not set" in missing.out + missing.err


ROUTES = "src/helping_hands/auth/routes.clj"


def test_an_edited_handler_is_named_by_a_plan_and_served_by_a_deploy(project: Project) -> None:
    before = digest(project)
    project.edit(ROUTES, "(ns helping-hands.auth.routes", ";; edited\n(ns helping-hands.auth.routes")
    planned = project.invoke("deploy", "--plan", "--output", "json")
    reasons = {step["id"]: step["reason"] for step in planned.events[0]["steps"]}
    assert planned.exit == 3
    assert "no jar of these sources" in reasons["auth/jar"]
    assert reasons["auth/release"].startswith("follows from")
    assert project.invoke("deploy").exit == 0
    assert digest(project) != before


def test_touching_a_file_rebuilds_nothing(project: Project) -> None:
    os.utime(project.service / ROUTES)
    assert project.invoke("deploy", "--plan").exit == 0


@pytest.mark.parametrize(
    ("old", "new", "step", "headline", "words"),
    [
        (
            "(ns helping-hands.auth.routes",
            "(nope!)\n(ns helping-hands.auth.routes",
            "auth/jar",
            "auth: helping_hands/auth/routes.clj:1: Unable to resolve symbol: nope!",
            "helping_hands/auth/routes.clj:1",
        ),
        (
            "(ns helping-hands.auth.routes",
            '(when-not *compile-files* (throw (Exception. "dies at start")))\n(ns helping-hands.auth.routes',
            "auth/smoke",
            "auth: it ended with exit code 1",
            "dies at start",
        ),
    ],
)
def test_a_broken_handler_is_explained_and_the_old_release_serves(
    project: Project, old: str, new: str, step: str, headline: str, words: str
) -> None:
    before = digest(project)
    project.edit(ROUTES, old, new)
    done = project.invoke("deploy", "--output", "json")
    assert done.exit == 1
    assert done.steps[step] == "failed"
    assert done.steps["auth/release"] == "skipped"
    assert done.failure(step).startswith(headline)
    assert words in done.failure(step)
    assert digest(project) == before
    assert token(project)
    kept = ROOT / ".slipway" / "runs" / done.events[0]["run"] / f"{step.replace('/', '-')}.txt"
    assert words in kept.read_text()


def test_a_check_that_never_passes_keeps_the_old_release_and_shows_the_line(project: Project) -> None:
    before = digest(project)
    project.edit(
        "service.yaml", "expect: {status: 401, headers: {WWW-Authenticate: '^Bearer$'}}", "expect: {status: 418}"
    )
    done = project.invoke("deploy", "--output", "json")
    assert done.exit == 1
    assert "wanted status 418, got 401" in done.failure("auth/smoke")
    assert 'curl -i "http://127.0.0.1:' in done.failure("auth/smoke")
    assert digest(project) == before


@pytest.mark.parametrize("killed", [False, True])
def test_a_release_that_fails_only_live_is_put_back(project: Project, *, killed: bool) -> None:
    """What served comes back, even where a deploy was `killed` before and had stopped it."""
    before, served = digest(project), str(project.inspect()["Id"])
    project.environment({"auth": {"env": {"LOG_LEVEL": "debug"}}})
    assert project.invoke("smoke").exit == 0
    if killed:
        for words in (["rename", project.container, f"{project.container}_previous"], ["stop", served]):
            subprocess.run(["docker", *words], check=True, capture_output=True)
    killer = f"""
        until docker inspect {project.container}_previous; do sleep 0.02; done
        until docker kill {project.container}; do sleep 0.02; done
    """
    blocked = subprocess.Popen(  # the live container dies as soon as it is there, which no smoke test can foresee
        ["sh", "-c", killer],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    done = project.invoke("deploy", "--output", "json")
    blocked.wait(30)
    assert done.exit == 1
    assert done.steps["auth/smoke"] in {"changed", "unchanged"}
    assert "serves again" in done.failure("auth/release")
    assert (digest(project), project.inspect()["Id"]) == (before, served)
    assert "LOG_LEVEL=info" in project.inspect()["Config"]["Env"]
    assert token(project)


def test_a_container_that_somebody_made_under_the_name_is_refused_and_left_alone(project: Project) -> None:
    subprocess.run(["docker", "rm", "-f", project.container], check=True, capture_output=True)
    made = subprocess.check_output(["docker", "create", "--name", project.container, "slipway/nothing:1"], text=True)
    try:
        done = project.invoke("deploy", "--output", "json")
        assert done.exit == 1
        assert f"there is a container {project.container} already, made by hand" in done.failure("auth/release")
        assert project.inspect()["Id"] == made.strip()
    finally:
        subprocess.run(["docker", "rm", "-f", project.container], check=True, capture_output=True)


def test_rollback_serves_an_earlier_release_with_its_number(project: Project) -> None:
    first = json.loads(project.invoke("history", "--output", "json").out)["releases"]
    number = next(release["number"] for release in first if release["serving"])
    project.environment({"auth": {"env": {"LOG_LEVEL": "warn"}}})
    assert project.invoke("deploy").exit == 0
    assert "LOG_LEVEL=warn" in project.inspect()["Config"]["Env"]
    assert project.invoke("rollback", "--service", "auth", "--to", str(number)).exit == 0
    assert "LOG_LEVEL=info" in project.inspect()["Config"]["Env"]
    status = json.loads(project.invoke("status", "--output", "json").out)
    assert status["services"][0]["release"] == number
    for absent in ("999", "0"):
        assert project.invoke("rollback", "--service", "auth", "--to", absent).exit == 2


def test_a_secret_with_difficult_characters_arrives_whole_and_appears_nowhere(project: Project) -> None:
    value = "pä$s'w\"ö rd-${HOME}-\\n-äöü"
    text = (project.service / "service.yaml").read_text()
    (project.service / "service.yaml").write_text(text.replace("secrets: {", "secrets: {PASSPHRASE: {generate: {}}, "))
    project.environment({"secrets": {"PASSPHRASE": {"env": "THE_PASSPHRASE"}}})
    project.env["THE_PASSPHRASE"] = value
    done = project.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    assert f"PASSPHRASE={value}" in project.inspect()["Config"]["Env"]
    run = ROOT / ".slipway" / "runs" / done.events[0]["run"]
    logs = project.invoke("logs", "--service", "auth").out
    layers = subprocess.check_output(["docker", "history", "--no-trunc", digest(project)], text=True)
    labels = json.dumps(project.inspect()["Config"]["Labels"], ensure_ascii=False)
    written = "".join(path.read_text() for path in run.rglob("*") if path.is_file())
    for place in (done.out, done.err, logs, layers, labels, written):
        assert value not in place
        assert json.dumps(value)[1:-1] not in place


def test_a_taken_port_names_its_process_and_a_free_one_before_anything_is_built(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    with socket.socket() as other:
        other.bind(("127.0.0.1", project.port))
        other.listen()
        done = project.invoke("deploy", "--service", "auth", "--output", "json")
    project.purge()
    assert done.exit in {1, 4}
    assert f"port {project.port} is taken" in done.failure("auth/port")
    assert f"(pid {os.getpid()})" in done.failure("auth/port")
    assert "publish: " in done.failure("auth/port")
    assert done.steps["auth/jar"] == "skipped"


@pytest.mark.parametrize("attempt", range(5))
def test_a_deploy_that_was_killed_at_any_moment_is_finished_by_the_next(project: Project, attempt: int) -> None:
    """Two moments while the sources are built, three while a change of settings is tried and swapped in."""
    seed = random.Random(20261123 + attempt)  # noqa: S311  a fixed sequence is wanted
    if attempt < 2:
        project.edit("src/helping_hands/auth/main.clj", "(ns ", f";; {attempt}\n(ns ")
    else:
        project.environment({"auth": {"env": {"ATTEMPT": str(attempt)}}})
    running = subprocess.Popen(
        project.command("deploy"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(seed.uniform(1, 9) if attempt < 2 else seed.uniform(0.5, 6))
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    done = project.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    assert token(project)
    names = subprocess.check_output(
        ["docker", "ps", "-a", "--format", "{{.Names}}", "--filter", f"name={project.name}"], text=True
    )
    assert names.split() == [project.container]
    assert project.invoke("deploy", "--plan").exit == 0


def test_ctrl_c_ends_within_5_seconds_says_what_is_not_done_and_the_next_run_goes_on(project: Project) -> None:
    project.edit("src/helping_hands/auth/main.clj", "(ns ", ";; interrupted\n(ns ")
    running = subprocess.Popen(project.command("deploy"), stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert running.stdout
    for line in running.stdout:
        if "Compiling" in line:
            break
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    rest = running.stdout.read()
    assert running.wait(10) == 130
    assert time.monotonic() - began < 5
    assert "not done: auth: jar" in rest
    assert "interrupted" in rest
    assert not subprocess.run(["pgrep", "-f", str(project.service)], capture_output=True, check=False).stdout
    assert project.invoke("deploy").exit == 0


def test_down_keeps_secrets_and_history_and_purge_takes_them(tmp_path: Path, deployed: Project) -> None:
    project = Project(tmp_path / "p")
    for part in ("target",):
        subprocess.run(["cp", "-a", str(deployed.service / part), str(project.service / part)], check=True)
    assert project.invoke("deploy").exit == 0
    key = [line for line in project.inspect()["Config"]["Env"] if line.startswith("AUTH_KEY")]
    assert project.invoke("down").exit == 0
    assert subprocess.run(["docker", "inspect", project.container], capture_output=True, check=False).returncode != 0
    assert project.invoke("deploy").exit == 0
    assert [line for line in project.inspect()["Config"]["Env"] if line.startswith("AUTH_KEY")] == key
    assert len(json.loads(project.invoke("history", "--output", "json").out)["releases"]) == 2
    assert project.invoke("down", "--purge").exit == 0
    left = subprocess.check_output(
        ["docker", "volume", "ls", "-q", "--filter", f"label=slipway.project={project.name}"]
    )
    assert not left
    project.purge()
