"""Images as they come out: the same layers from the same source, small when little changed, nothing in them to abuse."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.project import Project

CLASS_DATA = "app.jsa"


def inspect(project: Project) -> dict[str, Any]:
    """What Docker says of the project's image."""
    return dict(json.loads(subprocess.check_output(["docker", "inspect", f"{project.name}/auth:0.0.1"]))[0])


def test_a_change_of_code_adds_little(project: Project) -> None:
    before = inspect(project)["RootFS"]["Layers"]
    routes = project.service / "src/helping_hands/auth/routes.clj"
    routes.write_text(routes.read_text() + "\n(def changed 1)\n")
    done = project.invoke("image", "--output", "plain")
    assert done.exit == 0, done.out + done.err
    after = inspect(project)["RootFS"]["Layers"]
    assert len(set(after) - set(before)) == 1
    new = next(line for line in done.out.splitlines() if "(new)" in line)
    assert "COPY app.jar" in new
    assert float(new.split("|")[1].split()[0]) < 1, new


def test_the_image_has_no_shell_and_no_root_and_starts_on_a_read_only_root(deployed: Project) -> None:
    config = deployed.inspect()["Config"]  # of what serves: its version's tag may be a later, broken image's
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
    served = deployed.inspect()
    entry = [word for word in served["Config"]["Entrypoint"] if "SharedArchiveFile" not in word]
    archive = "/app/none.jsa" if spoilt == "missing" else "/app/app.jsa"
    name = f"{deployed.name}-spoilt"
    run = [
        *("docker", "run", "--detach", "--name", name, "--read-only", "--tmpfs", "/tmp", "--memory", "256m"),
        *("--env", f"AUTH_KEY={'A' * 22}", "--publish", "127.0.0.1::8080", "--volume", f"{other}:/app/app.jsa:ro"),
        *("--entrypoint", "java", served["Image"], f"-XX:SharedArchiveFile={archive}", *entry[1:]),
    ]
    subprocess.run(run, capture_output=True, check=True)
    try:
        where = subprocess.check_output(["docker", "port", name, "8080"], text=True).split()[0]
        ask = ["curl", "--retry", "40", "--retry-all-errors", "--retry-delay", "1", "--retry-max-time", "40", "-sSf"]
        answered = subprocess.run([*ask, f"http://{where}/health/ready"], capture_output=True, text=True, check=False)
        assert answered.returncode == 0, subprocess.run(["docker", "logs", name], capture_output=True).stderr
    finally:
        subprocess.run(["docker", "rm", "-f", name], capture_output=True, check=True)
