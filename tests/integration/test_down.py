"""Taken down and deployed again: services that do not need each other are released at once, again and again."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from docker import APIClient

from tests.integration.project import Project, free_port, light

NAMES = ("left", "middle", "right")


class Independent(Project):
    """A project of three light services, none of which needs another."""

    def __init__(self, folder: Path) -> None:
        self.begin(folder)
        self.ports = {name: free_port() for name in NAMES}
        for name in NAMES:
            light(folder / "services" / name)
            self.change(name)

    @property
    def service(self) -> Path:
        """One service's folder."""
        return self.folder / "services" / NAMES[0]

    def change(self, name: str) -> None:
        """Write a service file that differs from the one before."""
        env = {"SAYS": name, "MARK": secrets.token_hex(4)}
        service: dict[str, Any] = {"name": name, "build": "none", "publish": self.ports[name], "env": env}
        (self.folder / "services" / name / "service.yaml").write_text(json.dumps(service))

    def networks(self) -> list[str]:
        """The networks of this project."""
        words = ["docker", "network", "ls", "--filter", f"label=slipway.project={self.name}", "--format", "{{.Name}}"]
        return subprocess.check_output(words, text=True).split()

    def serves(self) -> bool:
        """Whether each service answers with its own name."""
        return all(
            requests.get(f"http://127.0.0.1:{port}/", timeout=10).text == name for name, port in self.ports.items()
        )


@pytest.fixture(scope="module")
def independent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Independent]:
    made = Independent(tmp_path_factory.mktemp("independent"))
    yield made
    made.purge()


def deployed(independent: Independent) -> None:
    """Deploy what is not running, on a network that is not there."""
    done = independent.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    assert independent.networks() == [independent.name]
    assert independent.serves()


def test_a_first_deploy_and_each_after_down_puts_independent_services_on_one_network(independent: Independent) -> None:
    for _ in range(3):
        deployed(independent)
        assert independent.invoke("down").exit == 0
        assert independent.networks() == []


def test_networks_that_an_earlier_run_created_twice_are_merged_by_the_next(independent: Independent) -> None:
    deployed(independent)
    for heal in ("deploy", "down"):
        api = APIClient()
        api.create_network(independent.name, labels={"slipway.project": independent.name})
        api.close()
        assert independent.networks() == [independent.name] * 2
        independent.change("left")
        done = independent.invoke(heal)
        assert done.exit == 0, done.out
        assert independent.networks() == ([independent.name] if heal == "deploy" else [])
        assert heal == "down" or independent.serves()
