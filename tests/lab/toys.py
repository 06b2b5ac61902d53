"""A project of one small service on the Minikube of this machine: quick to build, and faulty on demand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.integration.project import Done, Project
from tests.lab.sources import program

DOCKERFILE = 'FROM scratch\nCOPY toy /toy\nCOPY note /note\nUSER 10001:10001\nENTRYPOINT ["/toy"]\n'
SERVICE: dict[str, Any] = {
    "name": "toy",
    "build": "none",
    "port": 8080,
    "replicas": 2,
    "resources": {"cpu": "50m", "memory": "32Mi"},
    "env": {"VERSION": "1"},
    "secrets": {"KEY": {"generate": {}}},
    "health": {"ready": "/health/ready", "live": "/health/live"},
    "checks": [{"name": "it greets", "curl": 'curl "$BASE/"', "expect": {"status": 200, "body": "^hello from"}}],
}


@dataclass(frozen=True)
class Killed:
    """A deploy that was to be killed so many seconds in; whether it was `alive` then; what the next one left wrong."""

    moment: float
    alive: bool
    faults: tuple[str, ...]


class Toys(Project):
    """A project like the others, whose environment is the Minikube here."""

    def __init__(self, folder: Path, service: dict[str, Any] | None = None) -> None:
        self.begin(folder, "minikube")
        self.toy = folder / "services of a team" / "toy"
        self.toy.mkdir(parents=True)
        shutil.copy(program("toy"), self.toy / "toy")
        (self.toy / "Dockerfile").write_text(DOCKERFILE)
        self.write(**(service or {}))

    @property
    def service(self) -> Path:
        """The toy's folder."""
        return self.toy

    def write(self, *, note: str = "", **changes: Any) -> None:
        """Write the service file with these changes; `note` is part of its sources."""
        (self.toy / "service.yaml").write_text(json.dumps({**SERVICE, **changes}))
        (self.toy / "note").write_text(note)

    def fault(self, name: str) -> None:
        """Make the next release faulty on a cluster, and nowhere else."""
        self.write(env={**SERVICE["env"], "FAULT": name})

    @property
    def running(self) -> str:
        """The names of the pods that run."""
        return self.kubectl("get", "pods", "--field-selector=status.phase=Running", "-o", "name")

    def change(self, name: str) -> None:
        """Another image and another manifest."""
        self.write(note=name, env={"VERSION": name})

    @cached_property
    def usual(self) -> float:
        """Seconds that a deploy of a change takes here; a quicker one is the usual one from then on."""
        self.change("as usual")
        began = time.monotonic()
        assert self.deploy().exit == 0
        return time.monotonic() - began

    def killed(self, part: float, attempts: int = 1) -> Killed:
        """A deploy of a change that is killed after this part of what one usually takes, and another behind it."""
        moment, alive = self.kill_one(part, attempts)
        began = time.monotonic()
        done = self.deploy()
        took = time.monotonic() - began
        faults = {
            f"the next deploy failed: {done.out[-2000:]}": done.exit != 0,
            f"the next deploy took {took:.0f} s, and a dead holder's lock lasts 30 s at most": took > 60,
            "not all copies are ready": self.status()["ready"] != 2,
            "a plan finds something to do": self.deploy("--plan").exit != 0,
            "a pod that asks was left": "slipway-probe" in self.running,
        }
        return Killed(moment, alive, tuple(fault for fault, true in faults.items() if true))

    def kill_one(self, part: float, attempts: int) -> tuple[float, bool]:
        """Kill a deploy of a change after this part of what one usually takes: when, in seconds, and whether it lived."""
        for _ in range(attempts):  # where it had ended, the machine had more to do when the usual one was measured
            moment, alive = self._kill_after(part * self.usual)
            if alive:
                break
        return moment, alive

    def _kill_after(self, moment: float) -> tuple[float, bool]:
        """Kill one deploy so many seconds in: when, and whether it was alive then."""
        quiet = subprocess.DEVNULL
        self.change(f"killed after {moment}")
        began = time.monotonic()
        running = subprocess.Popen(self.command("deploy"), stdout=quiet, stderr=quiet, start_new_session=True)
        try:
            running.wait(moment)
            self.usual = time.monotonic() - began
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
        return moment, running.wait() == -signal.SIGKILL

    def shot(self, pod: str) -> None:
        """Kill a pod's process on its node with SIGKILL. Raises AssertionError where none runs."""
        container = f"$(crictl ps --quiet --state running --label io.kubernetes.pod.name={pod})"
        script = f"ctr --namespace k8s.io tasks kill --signal SIGKILL {container}"
        words = ["docker", "exec", "minikube", "sh", "-c", script]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """What kubectl says; its exit code is not checked."""
        done = subprocess.run(
            ["kubectl", "--context", "minikube", "--namespace", self.name, *words],
            input=text, capture_output=True, text=True, check=False, env=dict(os.environ),
        )  # fmt: skip
        return done.stdout + done.stderr

    def object(self, kind: str, name: str = "toy") -> dict[str, Any]:
        """An object, or nothing."""
        found = self.kubectl("get", kind, name, "-o", "json")
        return dict(json.loads(found)) if found.startswith("{") else {}

    def status(self) -> dict[str, Any]:
        """The toy in `status --output json`."""
        done = self.invoke("status", "--output", "json")
        return dict(json.loads(done.out)["services"][0])

    def settled(self) -> dict[str, Any]:
        """The toy in `status`, once no pod of an earlier release is ending. Raises AssertionError after a minute."""
        deadline = time.monotonic() + 60
        while True:
            status = self.status()
            if {pod["state"] for pod in status["containers"]} == {"Ready"}:
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.2)

    def deploy(self, *words: str) -> Done:
        """A deploy, as events."""
        return self.invoke("deploy", "--output", "json", *words)
