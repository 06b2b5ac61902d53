"""`./invoke up --env minikube`: the shipped configuration and the real auth service, on a machine without Minikube."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.integration.project import ROOT
from tests.lab.toys import Toys

pytestmark = pytest.mark.lab


def invoke(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(clone / "invoke"), *words], capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture
def clone(jars: None, tmp_path: Path) -> Iterator[Path]:
    """A clone of its own, of auth alone, whose default environment is nobody else's; what it deploys is removed."""
    place = tmp_path / "a clone"
    shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(".slipway", ".git", "__pycache__"), symlinks=True)
    for folder in (place / "services").iterdir():
        if folder.name not in {"auth", "shared"}:
            shutil.rmtree(folder)
    yield place
    invoke(place, "down", "--purge", "--env", "minikube")
    subprocess.run(["kubectl", "delete", "namespace", "helping-hands", "--wait=false"], check=False)


def test_one_command_and_the_service_answers_through_a_tunnel(clone: Path, bundled: Path, toys: Toys) -> None:
    done = invoke(clone, "up", "--env", "minikube", "--bundle", str(bundled))
    assert done.returncode == 0, done.stdout + done.stderr
    status = json.loads(invoke(clone, "status", "--output", "json").stdout)  # minikube is the default now
    assert status["environment"] == "minikube"
    assert [(s["name"], s["wanted"], s["ready"]) for s in status["services"]] == [("auth", 2, 2)]
    listed = subprocess.check_output(
        ["kubectl", "get", "deploy,svc,pdb", "-n", "helping-hands", "-o", "name"], text=True
    )
    assert len(listed.split()) == 3
    again = invoke(clone, "up", "--output", "json")
    assert json.loads(again.stdout.splitlines()[-1])["changed"] == 0
    tunnel = subprocess.Popen(
        [str(clone / "invoke"), "forward", "--service", "auth"], stdout=subprocess.PIPE, text=True
    )
    assert tunnel.stdout
    url = tunnel.stdout.readline().split()[1]
    answer = requests.get(f"{url}/tokens?uid=hhuser&pwd=hhuser", timeout=10)
    tunnel.send_signal(signal.SIGINT)
    assert tunnel.wait(10) == 130
    assert answer.status_code == 200
    assert len(answer.headers["Authorization"].split(".")) == 5


def test_programs_are_the_bundles_and_verify_names_a_bad_file(bundled: Path, tmp_path: Path, toys: Toys) -> None:
    version = subprocess.check_output(["minikube", "version", "--short"], text=True)
    assert version.strip() == "v1.38.1"
    assert invoke(ROOT, "bundle.verify", "--dir", str(bundled)).returncode == 0
    bad = tmp_path / "bad"
    shutil.copytree(bundled, bad)
    (bad / "tools" / "kubectl").write_bytes(b"not kubectl")
    (bad / "images" / "probe.tar").unlink()
    done = invoke(ROOT, "bundle.verify", "--dir", str(bad))
    assert done.returncode == 1
    assert "tools/kubectl has sha256" in done.stderr
    assert "images/probe.tar is missing" in done.stderr
