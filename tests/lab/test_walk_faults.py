"""The faults that random walks over the commands of a day found (`test_walk.py` walks)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.walk_local import LocalServices
from tests.integration.walk_model import NAMES, Content

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServices]:
    made = LocalServices(tmp_path_factory.mktemp("a walk") / "p")
    yield made
    made.purge()


@pytest.fixture
def deployed(services: LocalServices) -> Iterator[LocalServices]:
    """The services, each deployed."""
    for name in NAMES:
        services.write(name, Content())
    done = services.invoke("deploy")
    assert done.exit == 0, done.out + done.err
    yield services
    assert services.invoke("down", "--purge").exit == 0
    assert services.everything() == []


@pytest.mark.parametrize("command", ["deploy", "restart", "rollback", "down"])
def test_a_container_that_was_paused_by_hand_is_its_services_own(deployed: LocalServices, command: str) -> None:
    deployed.hands["pause"].act("left")
    plan = deployed.invoke("deploy", "--plan")
    assert (plan.exit, "it is paused" in plan.out) == (3, True), plan.out
    to = ("--to", "1") if command == "rollback" else ()
    done = deployed.invoke(command, "--service", "left", *to)
    assert done.exit == 0, done.out + done.err
    assert (command == "down") or deployed.answer("left", Content()) == deployed.text(Content())


def test_a_restart_waits_for_what_was_deployed_not_for_what_the_file_says_by_now(deployed: LocalServices) -> None:
    deployed.write("left", Content(setting=4))  # another port
    done = deployed.invoke("restart", "--service", "left")
    assert done.exit == 0, done.out + done.err
    assert deployed.answer("left", Content()) == deployed.text(Content())


def test_a_service_without_a_folder_is_purged_with_the_others(deployed: LocalServices) -> None:
    deployed.remove("left")
    assert deployed.invoke("down", "--purge").exit == 0
    assert deployed.everything() == []


def test_a_kept_smoke_test_is_purged_with_its_network(deployed: LocalServices) -> None:
    assert deployed.invoke("smoke", "--service", "left", "--keep").exit == 0
    assert len(deployed.all_of("network", "ls", "-q")) == 2
    assert deployed.invoke("down", "--purge").exit == 0
    assert deployed.everything() == []
