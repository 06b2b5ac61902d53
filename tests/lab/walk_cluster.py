"""The three services of a walk on a cluster: the Minikube here, or that of an SSH host."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.integration.walk import Services
from tests.integration.walk_model import ABSENT, NAMES, Content, Hand, Model
from tests.lab.fleet import Fleet
from tests.lab.sources import program
from tests.lab.toys import DOCKERFILE, SERVICE


class ClusterServices(Services):
    """Three toys on the Minikube of this machine: each says its VERSION, and the note that its image was made with."""

    def __init__(self, folder: Path, where: str = "minikube") -> None:
        self.begin(folder, where)

    def write(self, name: str, content: Content) -> None:
        folder = self.folder / "services" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            shutil.copy(program("toy"), folder / "toy")
            (folder / "Dockerfile").write_text(DOCKERFILE)
        (folder / "note").write_text(f"sources {content.sources}")
        check = {"name": "it says its version", "curl": 'curl "$BASE/"', "expect": {"body": "version [1-9]"}}
        service = {
            **SERVICE,
            "name": name,
            "replicas": 1,
            "publish": 8080 + NAMES.index(name) if name in NAMES else 8080 + len(NAMES),
            "env": {"VERSION": str(content.setting)},
            "secrets": {"KEY": {"generate": {}}} if name == self.secret else {},
            "checks": [check],
        }
        (folder / "service.yaml").write_text(json.dumps(service))

    def answer(self, name: str, content: Content) -> str:
        del content
        proxy = f"/api/v1/namespaces/{self.name}/services/{name}:main/proxy"
        greeting, note = (self.kubectl("get", "--raw", f"{proxy}{path}") for path in ("/", "/note"))
        version = re.search(r"version (\S+)", greeting)
        return f"{version[0] if version else greeting}, {note}"

    def text(self, content: Content) -> str:
        return f"version {content.setting}, sources {content.sources}"

    def kubectl(self, *words: str) -> str:
        """What kubectl prints; it must succeed."""
        line = ["kubectl", "--context", "minikube", "--namespace", self.name, *words]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(line)}\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def hands(self) -> Mapping[str, Hand]:
        return {
            "delete": Hand(lambda name: self.kubectl("delete", "deployment", name), ABSENT),
            "scale": Hand(lambda name: self.settled("scale", f"deployment/{name}", "--replicas=2"), drift=True),
            "set env": Hand(lambda name: self.settled("set", "env", f"deployment/{name}", "BY_HAND=1"), drift=True),
        }

    def settled(self, *words: str) -> None:
        """A change of a Deployment by kubectl, rolled out."""
        self.kubectl(*words)
        name = next(word for word in words if word.startswith("deployment/"))
        self.kubectl("rollout", "status", name, "--timeout=120s")

    def all_of(self, kinds: str) -> list[str]:
        """The names, with their kinds, of all objects of these kinds that Slipway made for this project."""
        labels = f"app.kubernetes.io/managed-by=slipway,app.kubernetes.io/part-of={self.name}"
        return self.kubectl("get", kinds, "--selector", labels, "--output", "name", "--ignore-not-found").split()

    def everything(self) -> list[str]:
        return self.all_of("deployments,pods,services,secrets,configmaps,persistentvolumeclaims,poddisruptionbudgets")

    def disagreements(self, model: Model, status: Mapping[str, Mapping[str, Any]]) -> list[str]:
        wanted = {f"deployment.apps/{name}" for name in model.deployed}
        unready = [name for name, one in model.deployed.items() if not one.drift and status[name]["ready"] != 1]
        faults = {
            f"{self.all_of('deployments')}, wanted {sorted(wanted)}": set(self.all_of("deployments")) != wanted,
            f"not ready: {unready}": bool(unready),
        }
        return [fault for fault, true in faults.items() if true]

    def close(self) -> None:
        """Take the project away, whatever a test left of it."""
        self.invoke("down", "--purge")
        self.kubectl("delete", "namespace", self.name, "--wait=false", "--ignore-not-found")
        self.purge()


class HostServices(ClusterServices):
    """The same on the Minikube of the lab's first SSH host."""

    def __init__(self, folder: Path, fleet: Fleet) -> None:
        super().__init__(folder, fleet.where)
        self.env, self.host = dict(fleet.env), fleet.hosts[0]
        for file in ("hosts.yaml", f"environments/{fleet.where}.yaml"):
            shutil.copy(fleet.folder / "settings" / file, folder / "settings" / file)

    def kubectl(self, *words: str) -> str:
        line = ("kubectl", "--context", "minikube", "--namespace", self.name, *words)
        done = self.host.ssh(" ".join(f"'{word}'" for word in line))
        assert done.returncode == 0, f"{' '.join(line)}\n{done.stdout}{done.stderr}"
        return done.stdout
