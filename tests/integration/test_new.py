"""`new`, for real: the service that it makes passes its own tests, is built, tried and served as it is."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from slipway.build.jar import Leiningen, uberjar
from slipway.config.load import load
from slipway.hosts.local import Local
from slipway.tools.java import reachable
from tests.integration.project import ROOT, Project, free_port


class Team(Project):
    """A project without services."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name, self.env, self.where = folder, f"t{secrets.token_hex(4)}", {}, "local"
        (folder / "settings").mkdir()
        (folder / "settings" / "slipway.yaml").write_text(f"name: {self.name}\nshort: {self.name}\n")
        self.service.parent.mkdir()

    @property
    def service(self) -> Path:
        """The folder of the new service."""
        return self.folder / "services" / "invoices"


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    yield made
    made.purge()


def lein_test(folder: Path) -> str:
    """What `lein test` says in a project's folder, run as `build` runs Leiningen here."""
    host = Local()
    facts, tools = host.probe.facts(), load(ROOT).tools
    kit = facts.jdk(tools.java.minimum)
    assert kit
    lein = Leiningen(kit.home, "" if reachable(facts) else tools.clojure.profile)
    command = uberjar(folder, lein)
    words = [*command.argv[:-1], "test"]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        words, cwd=folder, env={**os.environ, **(command.env or {})}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_a_new_service_works_as_it_is_made(team: Team) -> None:
    port = free_port()
    plan = team.invoke("new", "--name", "invoices", "--port", str(port), "--plan")
    assert (plan.exit, team.service.exists()) == (3, False)
    assert team.invoke("new", "--name", "invoices", "--port", str(port)).exit == 0
    done = team.invoke("deploy", "--service", "invoices", "--output", "json")
    assert done.exit == 0, done.out
    answer = requests.get(f"http://127.0.0.1:{port}/greetings", {"name": "Ada"}, timeout=5)
    assert answer.json() == {"greeting": "Hello, Ada"}
    assert "Ran 6 tests containing 11 assertions.\n0 failures, 0 errors." in lein_test(team.service)
    again = team.invoke("new", "--name", "invoices")
    assert (again.exit, "try --name invoices-2" in again.out + again.err) == (2, True)
