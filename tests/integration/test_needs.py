"""A service that needs another: tried beside it, released behind it, and told when it is not there."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.project import Project, free_port

SERVER = """(ns stock.core (:gen-class) (:import (java.net ServerSocket)))
(defn -main [& _]
  (let [answer (str (System/getenv "SAYS") (some-> (System/getenv "ASKS") slurp))
        answer (str "HTTP/1.1 200 OK\\r\\nContent-Length: " (count answer) "\\r\\nConnection: close\\r\\n\\r\\n" answer)]
    (println (or (System/getenv "KEY") "open"))
    (with-open [server (ServerSocket. 9000)]
      (while true
        (with-open [socket (.accept server)]
          (.read (.getInputStream socket) (byte-array 4096))
          (doto (.getOutputStream socket) (.write (.getBytes answer)) (.flush)))))))
"""
BUILD = """(defproject stock "1" :dependencies [[org.clojure/clojure "1.11.4"]] :main stock.core
  :uberjar-name "stock.jar" :profiles {:uberjar {:aot :all}})"""
DOCKERFILE = 'ARG BASE\nFROM ${BASE}\nCOPY JAR /stock.jar\nUSER 10001\nENTRYPOINT ["java", "-jar", "/stock.jar"]\n'
STOCK: dict[str, Any] = {"name": "stock", "port": 9000, "env": {"SAYS": "3 left"}}
SHOP: dict[str, Any] = {
    "name": "shop",
    "build": "none",
    "port": 9000,
    "needs": ["stock"],
    "env": {"SAYS": "stock: ", "ASKS": "http://stock:9000/"},
    "checks": [
        {"name": "it asks", "curl": 'curl "$BASE/"', "expect": {"body": "^stock: 3 left$"}},
        {"name": "what it needs is asked too", "curl": 'curl "$STOCK_URL/"', "expect": {"body": "^3 left$"}},
    ],
}


class Shop(Project):
    """A project of two services that share one jar."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name, self.env, self.where = folder, f"t{secrets.token_hex(4)}", {}, "local"
        (folder / "settings").mkdir()
        (folder / "settings" / "slipway.yaml").write_text(f"name: {self.name}\nshort: {self.name}\n")
        self.ports = {"stock": free_port(), "shop": free_port()}
        for path, text in {"src/stock/core.clj": SERVER, "project.clj": BUILD}.items():
            place = self.service / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        (self.service / "Dockerfile").write_text(DOCKERFILE.replace("JAR", "target/stock.jar"))
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
        (self.folder / "services" / name).mkdir(exist_ok=True)
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
    made.write(SHOP)
    shutil.copy(made.service / "target" / "stock.jar", made.shop / "stock.jar")
    (made.shop / "Dockerfile").write_text(DOCKERFILE.replace("JAR", "stock.jar"))
    yield made
    made.purge()


def test_it_is_tried_beside_what_it_needs_and_nothing_stays(shop: Shop) -> None:
    done = shop.invoke("deploy", "--output", "json")
    assert done.exit == 0, done.out
    assert (done.steps["stock/smoke"], done.steps["stock/release"]) == ("unchanged", "unchanged")
    assert (done.steps["shop/smoke"], done.steps["shop/release"]) == ("changed", "changed")
    assert shop.names("ps -a") == [f"{shop.name}_shop_01", f"{shop.name}_stock_01"]
    assert shop.names("network ls") == [shop.name]


def test_a_change_is_tried_against_what_is_wanted_not_against_what_serves(shop: Shop) -> None:
    shop.write(STOCK, env={"SAYS": "none left"})
    done = shop.invoke("smoke", "--service", "shop", "--output", "json")
    shop.write(STOCK)
    assert done.exit == 1
    assert "smoke checks failed: it asks, what it needs is asked too" in done.failure("shop/smoke")
    assert "its last lines:\nopen" in done.failure("shop/smoke")
    assert shop.names("network ls") == [shop.name]


def test_what_it_needs_and_does_not_serve_is_said_before_anything_is_made(shop: Shop) -> None:
    assert shop.invoke("down", "--service", "stock").exit == 0
    shop.write(SHOP, env={**SHOP["env"], "MORE": "1"})
    done = shop.invoke("deploy", "--service", "shop", "--output", "json")
    assert done.exit == 4, done.out
    assert "shop needs stock, which is not deployed in local" in done.failure("needs")
    assert "./invoke deploy --service stock" in done.failure("needs")
    assert shop.invoke("deploy").exit == 0


def test_a_kept_trial_answers_until_the_next_one(shop: Shop) -> None:
    done = shop.invoke("smoke", "--service", "shop", "--keep")
    assert done.exit == 0, done.out
    url = re.findall(r"it answers at (\S+);", done.out)[0]
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
