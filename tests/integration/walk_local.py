"""The three services of a walk on this machine's Docker."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.integration.project import free_port, light
from tests.integration.walk import Services
from tests.integration.walk_model import ABSENT, NAMES, Content, Hand, Model


class LocalServices(Services):
    """Three light services: each says what its service file and its sources say. Setting 4 has another port."""

    secret = "middle"
    stored = "right"  # the service that has a volume

    def __init__(self, folder: Path) -> None:
        self.begin(folder)
        self.ports = {name: (free_port(), free_port()) for name in NAMES}
        light(folder / "light")
        with (folder / "light" / "Dockerfile").open("a") as file:
            file.write("COPY note /note\n")

    def write(self, name: str, content: Content) -> None:
        folder = self.folder / "services" / name
        if not folder.exists():
            shutil.copytree(self.folder / "light", folder)
        (folder / "note").write_text(f"sources {content.sources}")
        says = "goodbye" if content.broken else f"hello {content.setting}, "
        service: dict[str, Any] = {
            "name": name,
            "build": "none",
            "publish": self.port_of(name, content),
            "env": {"SAYS": says, "ASKS": "file:/note"},
            "checks": [{"name": "it greets", "curl": 'curl "$BASE/"', "expect": {"body": "^hello"}}],
        }
        if name == self.secret:
            service["secrets"] = {"KEY": {"generate": {}}}
        if name == self.stored:
            service["storage"] = {"data": {"path": "/data"}}
        (folder / "service.yaml").write_text(json.dumps(service))

    def port_of(self, name: str, content: Content) -> int:
        """The port that a service is published on."""
        return self.ports[name][content.setting == 4]

    def answer(self, name: str, content: Content) -> str:
        return requests.get(f"http://127.0.0.1:{self.port_of(name, content)}/", timeout=10).text

    def text(self, content: Content) -> str:
        return f"hello {content.setting}, sources {content.sources}"

    def named(self, name: str) -> str:
        """The container of a service."""
        return f"{self.name}_{name}_01"

    @property
    def hands(self) -> Mapping[str, Hand]:
        return {
            "stop": Hand(lambda name: self.docker("stop", self.named(name)), "exited"),
            "kill": Hand(lambda name: self.docker("kill", self.named(name)), "exited"),
            "pause": Hand(lambda name: self.docker("pause", self.named(name)), "paused"),
            "remove": Hand(lambda name: self.docker("rm", "-f", self.named(name)), ABSENT),
            "update": Hand(lambda name: self.docker("update", "--restart", "no", self.named(name)), drift=True),
        }

    def docker(self, *words: str) -> list[str]:
        """The words that a docker command prints; it must succeed."""
        return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.split()

    def all_of(self, *listing: str) -> list[str]:
        """What docker lists that has this project's label."""
        return sorted(self.docker(*listing, "--filter", f"label=slipway.project={self.name}"))

    def everything(self) -> list[str]:
        listings = (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))
        return [found for listing in listings for found in self.all_of(*listing)]

    def disagreements(self, model: Model, status: Mapping[str, Mapping[str, Any]]) -> list[str]:
        ids = self.all_of("ps", "-aq")
        found = json.loads(" ".join(self.docker("inspect", *ids))) if ids else []
        containers = {
            one["Name"].lstrip("/"): one for one in found if "_smoke_" not in one["Name"]
        }  # `--keep` leaves those
        wanted = {self.named(name): deployed for name, deployed in model.deployed.items()}
        holder = {f"{self.name}_secrets"} if model.secrets else set()
        reported = {one["containers"][0]["name"]: one for one in status.values()}
        volumes = {f"{self.name}_{n}_release_{number:04d}" for n, known in model.releases.items() for number in known}
        volumes |= {f"{self.name}_{name}_data" for name in model.releases if name == self.stored}
        volumes |= {f"{self.name}_secrets"} if model.secrets else set()
        networks = [name for name in self.all_of("network", "ls", "--format", "{{.Name}}") if "-smoke-" not in name]
        faults = {
            f"containers {sorted(containers)}, wanted {sorted(wanted)}, reported {sorted(reported)}": not (
                containers.keys() == wanted.keys() | holder and wanted.keys() == reported.keys()
            ),
            f"volumes {self.all_of('volume', 'ls', '-q')}": set(self.all_of("volume", "ls", "-q")) != volumes,
            f"networks {networks}": bool(wanted) and networks != [self.name],
        }
        for name in containers.keys() & wanted.keys() & reported.keys():
            state, service = containers[name]["State"]["Status"], reported[name]
            port = self.port_of(service["name"], model.releases[service["name"]][wanted[name].number].content)
            faults[f"{name} is {state}, wanted {wanted[name].state}"] = state != wanted[name].state
            faults[f"{name} is {state}, reported {service}"] = (
                service["containers"][0]["state"],
                service["ready"],
                service["digest"],
                service["ports"],
            ) != (
                state,
                int(state == "running"),
                containers[name]["Image"],
                [f"127.0.0.1:{port}->8080"],
            )
        return [fault for fault, true in faults.items() if true]

    @contextmanager
    def taken(self, name: str, content: Content) -> Iterator[bool]:
        with socket.create_server(("127.0.0.1", self.port_of(name, content))):
            yield True
