"""The real auth service, its image and its container: what they are, and that they stay so."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from jwcrypto import jwe, jwk

from tests.integration.project import Project

TOKEN = "/tokens?uid=hhuser&pwd=hhuser"
ROUTES = "src/helping_hands/auth/routes.clj"
CLASS_DATA = "app.jsa"


def token(project: Project) -> str:
    answer = requests.get(project.url(TOKEN), timeout=10)
    assert answer.status_code == 200
    return answer.headers["Authorization"].removeprefix("Bearer ")


def valid(project: Project, value: str, perms: str = "order.read") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {value}"}
    answer = requests.post(project.url("/tokens/validate"), data={"perms": perms}, headers=headers, timeout=10)
    return answer.status_code, answer.json()


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
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
    assert host["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"
    assert found["Config"]["User"] not in {"", "root", "0", "0:0"}
    assert "auth" in found["NetworkSettings"]["Networks"][deployed.name]["Aliases"]


def test_an_old_token_is_valid_after_a_restart(deployed: Project) -> None:
    before, value = deployed.inspect()["State"]["StartedAt"], token(deployed)
    assert deployed.invoke("restart", "--service", "auth").exit == 0
    assert deployed.inspect()["State"]["StartedAt"] != before
    assert valid(deployed, value) == (200, True)


def inspect(project: Project) -> dict[str, Any]:
    """What Docker says of the project's image."""
    return dict(json.loads(subprocess.check_output(["docker", "inspect", f"{project.name}/auth:0.0.1"]))[0])


def test_an_edited_handler_is_reported_by_a_plan_and_released_by_a_deploy_that_adds_little(project: Project) -> None:
    before, layers = project.digest, inspect(project)["RootFS"]["Layers"]
    project.edit(ROUTES, "(ns helping-hands.auth.routes", ";; edited\n(ns helping-hands.auth.routes")
    planned = project.invoke("deploy", "--plan", "--output", "json")
    reasons = {step["id"]: step["reason"] for step in planned.events[0]["steps"]}
    assert planned.exit == 3
    assert "no jar of these sources" in reasons["auth/jar"]
    assert reasons["auth/release"].startswith("follows from")
    done = project.invoke("deploy", "--output", "plain")
    assert done.exit == 0, done.out + done.err
    assert project.digest != before
    assert len(set(inspect(project)["RootFS"]["Layers"]) - set(layers)) == 1
    assert "Step 1/" not in done.out, "Docker built the image, where only its jar is another one"
    new = re.search(r"the image before with another app.jar, ([0-9.]+) MB of it new", done.out)
    assert new is not None, done.out
    assert float(new[1]) < 1, new


def test_touching_a_file_rebuilds_nothing(project: Project) -> None:
    os.utime(project.service / ROUTES)
    assert project.invoke("deploy", "--plan").exit == 0


def test_the_image_has_no_shell_and_no_root_and_starts_on_a_read_only_root(deployed: Project) -> None:
    config = deployed.inspect()["Config"]  # of the running container: its version's tag may be a later, broken image's
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"][0] == "java"
    image = deployed.inspect()["Image"]
    for program in ("/bin/sh", "/bin/bash", "sh", "/busybox"):
        run = ["docker", "run", "--rm", "--read-only", "--entrypoint", program, image, "-c", "exit 0"]
        assert subprocess.run(run, capture_output=True, check=False).returncode == 127, program
    live = deployed.inspect()
    assert live["HostConfig"]["ReadonlyRootfs"] is True
    assert live["State"]["Running"] is True


@pytest.mark.parametrize("spoilt", ["missing", "of something else"])
def test_a_service_starts_whatever_its_class_data_are(deployed: Project, tmp_path: Path, spoilt: str) -> None:
    other = tmp_path / CLASS_DATA
    other.write_bytes(b"no archive" * 1000)
    container = deployed.inspect()
    entry = [word for word in container["Config"]["Entrypoint"] if "SharedArchiveFile" not in word]
    archive = "/app/none.jsa" if spoilt == "missing" else "/app/app.jsa"
    name = f"{deployed.name}-spoilt"
    run = [
        *("docker", "run", "--detach", "--name", name, "--read-only", "--tmpfs", "/tmp", "--memory", "256m"),
        *("--env", f"AUTH_KEY={'A' * 22}", "--publish", "127.0.0.1::8080", "--volume", f"{other}:/app/app.jsa:ro"),
        *("--entrypoint", "java", container["Image"], f"-XX:SharedArchiveFile={archive}", *entry[1:]),
    ]
    subprocess.run(run, capture_output=True, check=True)
    try:
        where = subprocess.check_output(["docker", "port", name, "8080"], text=True).split()[0]
        ask = ["curl", "--retry", "40", "--retry-all-errors", "--retry-delay", "1", "--retry-max-time", "40", "-sSf"]
        answered = subprocess.run([*ask, f"http://{where}/health/ready"], capture_output=True, text=True, check=False)
        assert answered.returncode == 0, subprocess.run(["docker", "logs", name], capture_output=True).stderr
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=True)
