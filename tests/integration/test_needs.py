"""A service that needs another: tested with it, released after it, and refused where it does not exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.project import Project, free_port, light

STOCK: dict[str, Any] = {"name": "stock", "build": "none", "port": 8080, "env": {"SAYS": "3 left"}}
SHOP: dict[str, Any] = {
    "name": "shop",
    "build": "none",
    "port": 8080,
    "needs": ["stock"],
    "env": {"SAYS": "stock: ", "ASKS": "http://stock:8080/"},
    "checks": [
        {"name": "it asks", "curl": 'curl "$BASE/"', "expect": {"body": "^stock: 3 left$"}},
        {"name": "what it needs is asked too", "curl": 'curl "$STOCK_URL/"', "expect": {"body": "^3 left$"}},
    ],
}


class Shop(Project):
    """A project of two light services, of which one is written at first."""

    def __init__(self, folder: Path) -> None:
        self.begin(folder)
        self.ports = {"stock": free_port(), "shop": free_port()}
        light(self.service)
        self.write(STOCK)

    @property
    def service(self) -> Path:
        """The folder of the service that is needed."""
        return self.folder / "services" / "stock"

    @property
    def shop(self) -> Path:
        """The folder of the service that needs it."""
        return self.folder / "services" / "shop"

    def write(self, service: dict[str, Any], **changes: Any) -> None:
        """Write a service file with these changes."""
        name = str(service["name"])
        text = json.dumps({**service, "publish": self.ports[name], **changes})
        (self.folder / "services" / name / "service.yaml").write_text(text)

    def names(self, kind: str) -> list[str]:
        """The names of this project's containers (`ps -a`) or networks (`network ls`)."""
        words = ("docker", *kind.split(), "--filter", f"label=slipway.project={self.name}", "--format")
        column = "{{.Names}}" if kind.startswith("ps") else "{{.Name}}"
        return sorted(subprocess.check_output((*words, column), text=True).split())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("shop"))
    done = made.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    light(made.shop)
    made.write(SHOP)
    yield made
    made.purge()


def test_it_is_smoke_tested_with_what_it_needs_and_nothing_is_left(shop: Shop) -> None:
    done = shop.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    assert (done.steps["stock/smoke"], done.steps["stock/release"]) == ("unchanged", "unchanged")
    assert (done.steps["shop/smoke"], done.steps["shop/release"]) == ("changed", "changed")
    assert shop.names("ps -a") == [f"{shop.name}_shop_01", f"{shop.name}_stock_01"]
    assert shop.names("network ls") == [shop.name]


def test_a_smoke_test_runs_with_the_changed_need_and_not_with_the_running_release(shop: Shop) -> None:
    shop.write(STOCK, env={"SAYS": "none left"})
    done = shop.invoke("smoke", "--service", "shop", "--output", "json")
    shop.write(STOCK)
    assert done.exit == 1
    assert "smoke checks failed: it asks, what it needs is asked too" in done.failure("shop/smoke")
    assert "its last lines:\nopen" in done.failure("shop/smoke")
    assert shop.names("network ls") == [shop.name]


def test_a_need_that_is_not_running_is_reported_before_anything_is_built(shop: Shop) -> None:
    assert shop.invoke("down", "--service", "stock").exit == 0
    shop.write(SHOP, env={**SHOP["env"], "MORE": "1"})
    done = shop.invoke("deploy", "--service", "shop", "--output", "json")
    assert done.exit == 4, done.out
    assert "shop needs stock, which is not deployed in local" in done.failure("needs")
    assert "./invoke deploy --service stock" in done.failure("needs")
    assert shop.invoke("deploy").exit == 0


def test_a_smoke_test_that_is_left_running_answers_until_the_next_one(shop: Shop) -> None:
    done = shop.invoke("smoke", "--service", "shop", "--keep")
    assert done.exit == 0, done.out
    url = re.findall(r"left running at (\S+);", done.out)[0]
    assert requests.get(url, timeout=5).text == "stock: 3 left"
    assert shop.invoke("smoke", "--service", "shop").exit == 0
    assert not [name for name in shop.names("ps -a") if "smoke" in name]


def test_a_secret_that_a_service_prints_is_masked_in_its_logs(shop: Shop) -> None:
    shop.write(STOCK, secrets={"KEY": {"generate": {}}})
    assert shop.invoke("deploy", "--service", "stock").exit == 0
    found = json.loads(subprocess.check_output(["docker", "inspect", f"{shop.name}_stock_01"]))[0]["Config"]["Env"]
    (key,) = (line.removeprefix("KEY=") for line in found if line.startswith("KEY="))
    done = shop.invoke("logs", "--service", "stock")
    assert (done.exit, "***" in done.out, key in done.out) == (0, True, False)
    assert shop.invoke("restart", "--service", "stock").exit == 0
    shop.write(STOCK)
