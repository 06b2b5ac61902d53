"""What a smoke test needed is kept for the next one: the same containers, paused between, with fresh data each time."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.deployers.docker.leftovers import Warm
from slipway.deployers.docker.warm_end import end_later
from slipway.docker.labels import Names
from tests.integration.project import DOCKERFILE, ROOT, Project, free_port, light

COUNTER = """import java.net.*;
import java.nio.file.*;
class Counter {
    static final Path COUNT = Path.of("/data/count"), COPY = Path.of("/data/copy");
    static int count() throws Exception { return Files.exists(COUNT) ? Integer.parseInt(Files.readString(COUNT)) : 0; }
    public static void main(String[] words) throws Exception {
        if (words.length > 0) {
            if (words[0].equals("snapshot")) Files.writeString(COPY, "" + count());
            else Files.copy(COPY, COUNT, StandardCopyOption.REPLACE_EXISTING);
            return;
        }
        try (var server = new ServerSocket(8080)) {
            while (true) try (var socket = server.accept()) {
                var request = new byte[4096];
                var length = socket.getInputStream().read(request);
                if (length > 0 && new String(request, 0, length).startsWith("POST")) Files.writeString(COUNT, "" + (count() + 1));
                var said = "" + count();
                var head = "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: " + said.length() + "\\r\\n\\r\\n";
                socket.getOutputStream().write((head + said).getBytes());
            }
        }
    }
}
"""
COMMAND = ["java", "-cp", "/classes", "Counter"]
STOCK: dict[str, Any] = {
    "name": "stock",
    "build": "none",
    "port": 8080,
    "health": {"ready": "/"},
    "smoke": {"reuse": True},
}
COUNT: dict[str, Any] = {
    "name": "count",
    "build": "none",
    "port": 8080,
    "health": {"ready": "/"},
    "storage": {"data": {"path": "/data"}},
    "smoke": {"snapshot": [*COMMAND, "snapshot"], "restore": [*COMMAND, "restore"]},
}
SHOP: dict[str, Any] = {
    "name": "shop",
    "build": "none",
    "port": 8080,
    "needs": ["stock", "count"],
    "health": {"ready": "/"},
    "checks": [
        {"name": "it counts for the first time", "curl": 'curl -d x "$COUNT_URL/"', "expect": {"body": "^1$"}},
        {"name": "and for the second", "curl": 'curl -d x "$COUNT_URL/"', "expect": {"body": "^2$"}},
    ],
}


class Shop(Project):
    """A project of a shop that needs a service without data and one that counts."""

    def __init__(self, folder: Path) -> None:
        self.begin(folder)
        self.env, self.ports = {"CI": ""}, {name: free_port() for name in ("stock", "count", "shop")}
        for service in (STOCK, COUNT, SHOP):
            light(self.services / service["name"])
            self.write(service)
        source = folder / "Counter.java"
        source.write_text(COUNTER)
        classes = self.services / "count" / "classes"
        subprocess.run(["javac", "-nowarn", "-d", classes, source], check=True)
        (self.services / "count" / "Dockerfile").write_text(
            DOCKERFILE.replace('"Light"', '"Counter"').replace("USER", "COPY --chown=10001:10001 empty /data\nUSER")
        )
        (self.services / "count" / "empty").mkdir()
        (self.services / "count" / "empty" / "kept").touch()

    @property
    def services(self) -> Path:
        """The folder of the services."""
        return self.folder / "services"

    @property
    def service(self) -> Path:
        """See `Project.service`."""
        return self.services / "shop"

    def write(self, service: dict[str, Any], **changes: Any) -> None:
        """Write a service file with these changes."""
        (self.services / service["name"] / "service.yaml").write_text(
            json.dumps({"publish": self.ports[service["name"]], **service, **changes})
        )

    def smoke(self, *words: str, ci: str = "") -> dict[str, str]:
        """Test the shop; the ids of what is kept then, by service."""
        done = self.invoke("smoke", "shop", "--output", "json", *words, CI=ci)
        assert done.exit == 0, done.out + done.err
        return self.warm

    def containers(self, *flags: str) -> dict[str, str]:
        """The ids of all containers, by name; with flags, of those that `docker ps` then lists."""
        words = ("docker", "ps", "--all", "--no-trunc", "--filter", f"label=slipway.project={self.name}", *flags)
        lines = subprocess.check_output((*words, "--format", "{{.Names}} {{.ID}}"), text=True).splitlines()
        return dict(line.split() for line in lines)

    @property
    def warm(self) -> dict[str, str]:
        """The ids of what is kept, by service: it is paused."""
        kept = self.containers("--filter", "status=paused", "--filter", "name=_warm_")
        return {name.split("_")[1]: one for name, one in kept.items()}

    @property
    def networks(self) -> list[str]:
        """The networks of the project."""
        words = ("docker", "network", "ls", "--filter", f"label=slipway.project={self.name}", "--format", "{{.Name}}")
        return subprocess.check_output(words, text=True).split()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("shop"))
    yield made
    made.purge()


def test_the_next_test_has_the_same_containers_and_none_of_the_data_of_the_first(shop: Shop) -> None:
    first = shop.smoke()
    assert set(first) == {"stock", "count"}
    assert len(shop.containers()) == 2
    words = ["docker", "inspect", "--format", "{{.Config.Healthcheck.Test}}", *first.values()]
    assert subprocess.check_output(words, text=True).split() == ["[NONE]", "[NONE]"]
    for _ in range(2):
        assert shop.smoke() == first


def test_a_changed_need_is_started_anew_and_the_other_is_not(shop: Shop) -> None:
    first = shop.smoke()
    shop.write(STOCK, env={"SAYS": "something else"})
    second = shop.smoke()
    shop.write(STOCK)
    assert first["count"] == second["count"]
    assert first["stock"] != second["stock"]


def test_what_does_not_say_that_it_may_be_used_again_is_not_kept(shop: Shop) -> None:
    shop.write(STOCK, smoke={})
    shop.write(COUNT, smoke={})
    assert shop.smoke() == {}
    shop.write(STOCK)
    shop.write(COUNT)
    assert (shop.containers(), shop.networks) == ({}, [])


@pytest.mark.parametrize(("words", "ci"), [((), "true"), (("--no-cache",), "")])
def test_nothing_is_kept_on_a_ci_machine_or_without_caches(shop: Shop, words: tuple[str, ...], ci: str) -> None:
    assert len(shop.smoke()) == 2
    assert shop.smoke(*words, ci=ci) == {}
    assert (shop.containers(), shop.networks) == ({}, [])


@pytest.mark.parametrize("attempt", [0, 1, *(pytest.param(more, marks=pytest.mark.long) for more in (2, 3))])
def test_after_a_kill_at_any_moment_the_next_test_passes_and_nothing_else_is_left(shop: Shop, attempt: int) -> None:
    shop.smoke()
    moment = random.Random(20261130 + attempt).uniform(0.5, 3.5)  # noqa: S311  a fixed sequence is wanted
    running = subprocess.Popen(
        shop.command("smoke", "shop"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **shop.env},
    )
    time.sleep(moment)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert len(shop.smoke()) == 2
    assert len(shop.containers()) == 2
    assert len(shop.networks) == 1


def test_of_two_tests_at_once_one_uses_what_is_there_and_both_pass(shop: Shop) -> None:
    first = shop.smoke()
    running = subprocess.Popen(
        shop.command("smoke", "shop"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **shop.env},
    )
    second = shop.smoke()
    assert running.wait(60) == 0
    assert len(shop.containers()) == 2
    assert len(shop.smoke()) == 2
    assert len(second | first) == 2
    assert len(shop.networks) == 1


def test_what_is_kept_is_removed_with_the_services(shop: Shop) -> None:
    assert shop.invoke("deploy").exit == 0
    assert len(shop.smoke()) == 2
    assert shop.invoke("down").exit == 0
    assert (shop.containers(), shop.networks) == ({}, [])


def test_what_nobody_comes_for_is_removed_without_another_command(shop: Shop) -> None:
    kept = shop.smoke()
    until = datetime.now(UTC) - timedelta(seconds=5)
    for number, (service, container) in enumerate(kept.items(), 1):
        name = Warm(number, 2, until).name(Names(shop.name, shop.name), service)
        subprocess.run(["docker", "rename", container, name], check=True)
    end_later(Names(shop.name, shop.name), until)
    deadline = time.monotonic() + 60
    while shop.containers() or shop.networks:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_database_of_helping_hands_is_as_it_was_when_the_first_test_began(shop: Shop) -> None:
    shutil.copytree(ROOT / "services" / "postgres", shop.services / "postgres")
    shop.write(SHOP, needs=["postgres"], checks=[])
    kept = shop.smoke()
    assert set(kept) == {"postgres"}
    database = kept["postgres"]
    subprocess.run(["docker", "unpause", database], check=True)
    sql(database, "CREATE TABLE of_the_first_test ()")
    session = subprocess.Popen(["docker", "exec", database, *PSQL, "SELECT pg_sleep(60)"], stderr=subprocess.PIPE)
    while sql(database, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'") == "0":
        assert session.poll() is None  # Docker hangs if it is to pause a container in which it starts a process
    subprocess.run(["docker", "pause", database], check=True)
    shop.smoke("--keep")
    assert database in shop.containers().values()
    assert sql(database, "SELECT count(*) FROM pg_tables WHERE tablename = 'of_the_first_test'") == "0"
    assert session.wait(10) != 0
    assert shop.smoke() != kept


PSQL = ("sh", "-c", 'PGPASSWORD="$POSTGRES_PASSWORD" exec psql -h /tmp -U helping_hands -Atc "$0"')


def sql(container: str, text: str) -> str:
    """What a statement answers in a container of PostgreSQL."""
    return subprocess.check_output(["docker", "exec", container, *PSQL, text], text=True).strip()
