"""`new`, for real: the service that it makes passes its own tests, is built, smoke-tested and deployed as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.integration.project import Project, free_port, lein


class Team(Project):
    """A project without services."""

    def __init__(self, folder: Path) -> None:
        self.begin(folder)
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


def test_a_new_service_works_as_generated(team: Team) -> None:
    port = free_port()
    plan = team.invoke("new", "--name", "invoices", "--port", str(port), "--plan")
    assert (plan.exit, team.service.exists()) == (3, False)
    assert team.invoke("new", "--name", "invoices", "--port", str(port)).exit == 0
    done = team.invoke("deploy", "--service", "invoices", "--output", "json")
    assert done.exit == 0, done.out
    answer = requests.get(f"http://127.0.0.1:{port}/greetings", {"name": "Ada"}, timeout=5)
    assert answer.json() == {"greeting": "Hello, Ada"}
    assert "Ran 6 tests containing 11 assertions.\n0 failures, 0 errors." in lein(team.service, "test")
    again = team.invoke("new", "--name", "invoices")
    assert (again.exit, "for example: invoices-2" in again.out + again.err) == (2, True)
