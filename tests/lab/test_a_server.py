"""A server: the Docker of an SSH host, from a bare host to a service, and the days after."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
import requests

from slipway.hosts import locks
from tests.lab import machines
from tests.lab.fleet import Fleet, awaited, away, interrupted

pytestmark = pytest.mark.lab


class Server(Fleet):
    """A fleet of one host, whose Docker is the environment `server`."""

    def __init__(self, folder: Path, hosts: list[machines.Host], password: str) -> None:
        super().__init__(folder, hosts, password)
        self.where, self.of = "server", "toy"
        (folder / "settings" / "environments" / "server.yaml").write_text("docker: h1\n")

    def docker(self, *words: str) -> list[str]:
        """The words that the host's Docker prints."""
        done = self.hosts[0].machine.run(" ".join(("docker", *(f"'{word}'" for word in words))))
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    @property
    def answer(self) -> str:
        """What the service answers on the host's loopback."""
        done = self.hosts[0].ssh("curl -s --max-time 5 http://127.0.0.1:8080/")
        return done.stdout


S = TypeVar("S", bound=Server)


@contextmanager
def bare_host_set_up(kind: type[S], bundled: Path, folder: Path) -> Iterator[S]:
    """A bare host that `setup` has made a server of."""
    password = secrets.token_urlsafe(9)
    with machines.hosts(["bookworm"], folder / "hosts", password) as hosts:
        server = kind(folder / "project", hosts, password)
        done = server.invoke("setup", "--bundle", str(bundled), "--output", "json", timeout=600)
        assert done.exit == 0, done.out + done.err
        yield server
        server.purge()


@pytest.fixture(scope="module")
def server(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one service."""
    with bare_host_set_up(Server, bundled, tmp_path_factory.mktemp("server")) as server:
        again = server.invoke("setup", "--bundle", str(bundled), "--output", "json", timeout=600)
        assert (again.exit, set(again.steps.values())) == (0, {"unchanged"}), again.out
        done = server.invoke("deploy", "--output", "json")
        assert done.exit == 0, done.out + done.err
        yield server


def test_the_service_runs_there_and_answers_nobody_from_outside(server: Server) -> None:
    assert server.answer.startswith("hello from")
    assert server.docker("ps", "--format", "{{.Names}}", "--filter", f"name={server.name}") == [server.container]
    assert_closed_outside(server)
    again = server.invoke("deploy", "--output", "json")
    assert (again.exit, set(again.steps.values())) == (0, {"unchanged"}), again.out
    assert server.invoke("deploy", "--plan").exit == 0
    assert not subprocess.check_output(["docker", "ps", "-q", "--filter", f"name={server.container}"])  # not here


def assert_closed_outside(server: Server, public: Collection[int] = ()) -> None:
    """Of what containers of the host publish, only public ports answer on its own network, as from any other machine."""
    answering = set()
    for container in server.docker("ps", "-q"):
        bindings = json.loads(
            "".join(server.docker("inspect", "--format", "{{json .NetworkSettings.Ports}}", container))
        )
        for port in (int(one["HostPort"]) for ways in bindings.values() for one in ways or ()):
            with suppress(OSError), socket.create_connection((server.hosts[0].address, port), timeout=3):
                answering.add(port)
    assert answering == {*public}


def test_a_change_brings_its_own_layer_alone_and_is_rolled_back_like_any_other(server: Server) -> None:
    assert "version 1" in server.answer
    server.write(note="changed", env={"VERSION": "2"})
    done = server.invoke("deploy", "--output", "json")
    assert (done.exit, done.steps["toy/delivery"], done.steps["toy/release"]) == (0, "changed", "changed"), done.out
    assert "version 2" in server.answer

    status = json.loads(server.invoke("status", "--output", "json").out)
    (service,) = status["services"]
    assert (service["release"], service["ready"], service["ports"]) == (2, 1, ["127.0.0.1:8080->8080"])
    assert len(json.loads(server.invoke("history", "--output", "json").out)["releases"]) == 2
    assert server.invoke("logs", "--service", "toy").out
    assert server.invoke("restart", "--service", "toy").exit == 0

    back = server.invoke("rollback", "--service", "toy", "--output", "json")
    assert back.exit == 0, back.out
    assert "version 1" in server.answer
    server.write()
    assert server.invoke("deploy", "--output", "json").exit == 0


def test_forward_leads_there(server: Server) -> None:
    forward = server.start("forward", "toy")
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+", awaited(forward, "http://127.0.0.1:"))
        assert url
        assert requests.get(url[0], timeout=10).text.startswith("hello from")
    finally:
        code, _ = interrupted(forward)
    assert code in (0, 130)


def test_a_run_waits_for_another_and_not_for_one_that_was_killed(server: Server) -> None:
    server.write(note="first")
    first = server.start("deploy")
    awaited(first, "toy/image", "applying")
    lock = locks.docker_lock_path(f"{server.name}-local")
    moved = lock.rename(lock.with_suffix(".moved"))  # as on another machine, whose runs know nothing of this one's
    try:
        second = server.start("deploy")
        said = awaited(second, "which is using the Docker of h1")
        assert f"waiting for `deploy` (pid {first.pid})" in said
        os.killpg(first.pid, signal.SIGKILL)
        rest = second.communicate(timeout=120)[0]
        assert second.returncode == 0, rest
    finally:
        moved.rename(lock)
        first.communicate()
    assert server.invoke("deploy", "--plan").exit == 0
    names = server.docker("ps", "-a", "--format", "{{.Names}}", "--filter", f"name={server.name}")
    assert {*names} - {f"{server.name}_secrets"} == {server.container}


def test_a_link_that_is_cut_for_a_while_costs_time_only(server: Server) -> None:
    server.write(note="over a cut link")
    running = server.start("deploy")
    awaited(running, "toy/smoke", "changed")
    with away(server.hosts[0]):
        time.sleep(8)
    rest = running.communicate(timeout=180)[0]
    assert running.returncode == 0, rest
    assert server.invoke("deploy", "--plan").exit == 0


def test_behind_a_proxy_a_release_takes_over_and_every_request_there_is_answered(server: Server) -> None:
    environment = server.folder / "settings" / "environments" / "server.yaml"
    environment.write_text("docker: h1\nproxy: true\n")
    done = server.invoke("deploy", "--output", "json")
    assert (done.exit, done.steps["proxy"]) == (0, "changed"), done.out
    proxy = server.container.removesuffix("_01") + "_proxy"
    running = server.docker("ps", "--format", "{{.Names}}", "--filter", f"name={server.name}")
    assert {*running} == {server.container, proxy}
    assert_closed_outside(server)

    script = (
        "until [ -e /tmp/asked ]; do curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:8080/; sleep 0.02; done"
    )
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(server.hosts[0].ssh, script)
        server.write(note="taken over", env={"VERSION": "taken over"})
        done = server.invoke("deploy", "--output", "json")
        server.hosts[0].ssh("touch /tmp/asked")
        answers = asking.result().stdout.split()
    assert (done.exit, done.steps["toy/release"]) == (0, "changed"), done.out
    assert (len(answers) > 20, {*answers}) == (True, {"200"})
    assert "version taken over" in server.answer
    assert server.invoke("deploy", "--plan").exit == 0

    environment.write_text("docker: h1\n")
    server.write()
    assert server.invoke("deploy").exit == 0
    assert server.docker("ps", "--format", "{{.Names}}", "--filter", f"name={server.name}") == [server.container]


def test_down_takes_it_away_and_purge_leaves_nothing(server: Server) -> None:
    assert server.invoke("down").exit == 0
    assert server.answer == ""
    assert server.docker("volume", "ls", "-q", "--filter", f"label=slipway.project={server.name}")
    assert server.invoke("down", "--purge").exit == 0
    for kind in (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q")):
        assert not server.docker(*kind, "--filter", f"label=slipway.project={server.name}"), kind
