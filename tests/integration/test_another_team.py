"""Another team's service, laid out in its own way: no conf.edn, no ring, its own port, Dockerfile and jar name."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.integration.project import ROOT, Project, free_port

SERVER = """(ns shop.core (:gen-class) (:import (java.net ServerSocket)))
(defn -main [& _]
  (with-open [server (ServerSocket. 9000)]
    (while true
      (with-open [socket (.accept server)]
        (.read (.getInputStream socket) (byte-array 4096))
        (doto (.getOutputStream socket)
          (.write (.getBytes "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\nhello"))
          (.flush))))))
"""
FILES = {
    "project.clj": """(defproject shop "2.3" :dependencies [[org.clojure/clojure "1.11.4"]]
  :main shop.core :source-paths ["code"] :uberjar-name "the-shop.jar" :profiles {:uberjar {:aot :all}})""",
    "code/shop/core.clj": SERVER,
    "docker/shop.Dockerfile": """ARG BASE
FROM ${BASE}
COPY target/the-shop.jar /srv/shop.jar
USER 10001
ENTRYPOINT ["java", "-jar", "/srv/shop.jar"]
""",
    "service.yaml": """name: shop
version: "2.3"
port: 9000
publish: PORT
dockerfile: docker/shop.Dockerfile
checks:
  - {name: it says hello, curl: 'curl "$BASE/"', expect: {status: 200, body: '^hello$'}}
""",
}


@pytest.fixture
def team(tmp_path: Path) -> Iterator[tuple[list[str], Path, int]]:
    """Flags that point Slipway at the team, the folder of its service, and its port."""
    name, port = f"t{secrets.token_hex(4)}", free_port()
    settings, services = tmp_path / "settings", tmp_path / "our services"
    settings.mkdir()
    (settings / "slipway.yaml").write_text(f"name: {name}\nshort: {name}\n")
    for place, text in FILES.items():
        path = services / "shop" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("PORT", str(port)))
    yield ["--env", "local", "--settings", str(settings), "--services", str(services)], services / "shop", port
    leftover = Project.__new__(Project)
    leftover.name = name
    leftover.purge()


def test_it_is_built_checked_and_served(team: tuple[list[str], Path, int]) -> None:
    flags, folder, port = team
    done = subprocess.run(
        [str(ROOT / "invoke"), "deploy", "--output", "json", *flags],
        capture_output=True, text=True, timeout=240, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=5).text == "hello"
    status = subprocess.check_output([str(ROOT / "invoke"), "status", "--output", "json", *flags], text=True)
    assert [one["name"] for one in json.loads(status)["services"]] == ["shop"]
    again = subprocess.run([str(ROOT / "invoke"), "deploy", "--plan", *flags], capture_output=True, check=False)
    assert again.returncode == 0
    assert list((folder / "target").glob("the-shop.*.jar"))
