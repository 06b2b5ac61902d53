"""Releases behind a proxy on this machine's Docker: what is asked meanwhile is answered, whatever becomes of them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.project import Done, free_port
from tests.lab.load import Load
from tests.lab.toys import Toys

pytestmark = pytest.mark.lab
DOWNLOAD = 8  # seconds, longer than a deploy takes


class Proxied(Toys):
    """A toy on this machine's Docker, behind a proxy."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.where, self.of, self.port = "local", "toy", free_port()
        self.environment()

    def environment(self, secrets: dict[str, Any] | None = None, *, proxy: bool = True, **service: Any) -> None:
        """The local environment, with a proxy or without."""
        data = {"proxy": proxy, "services": {"toy": {"publish": self.port, **service}}, "secrets": secrets or {}}
        (self.folder / "settings" / "environments" / "local.yaml").write_text(json.dumps(data))

    @property
    def proxy(self) -> str:
        return f"{self.name}_toy_proxy"

    def failing(self, number: int) -> None:
        """Make the next release one that fails beside the others, and in no smoke test."""
        self.write(note=f"fails {number}", env={"VERSION": f"fails {number}", "FAULT_BESIDE": self.proxy})

    @property
    def containers(self) -> set[str]:
        """The names of those that serve, and of what belongs to that."""
        words = ["docker", "ps", "-a", "--format", "{{.Names}}", "--filter", f"name={self.name}_toy"]
        return {*subprocess.check_output(words, text=True).split()}

    def downloaded(self, wrong: list[str], seconds: int = DOWNLOAD) -> threading.Thread:
        """A download of so many seconds that has begun; what is wrong with its answer is added to `wrong`."""
        began = threading.Event()

        def read() -> None:
            try:
                with requests.get(self.url(f"/download?seconds={seconds}"), stream=True, timeout=30) as answer:
                    lines = []
                    for line in answer.iter_lines():
                        lines.append(line)
                        began.set()
                if len(lines) != 10 * seconds or len({*lines}) != 1:
                    wrong.append(f"{len(lines)} lines of {len({*lines})} containers")
            except requests.RequestException as error:
                wrong.append(str(error))
            finally:
                began.set()

        thread = threading.Thread(target=read)
        thread.start()
        began.wait(10)
        return thread


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """A project whose toy runs behind a proxy."""
    project = Proxied(tmp_path_factory.mktemp("taken over") / "p")
    try:
        assert deployed(project).steps["proxy"] in {"changed", "unchanged"}
        yield project
    finally:
        project.purge()


@pytest.fixture
def proxied(made: Proxied) -> Iterator[Proxied]:
    """The project, restored after the test."""
    yield made
    made.environment()
    made.write()
    deployed(made)


def deployed(project: Proxied) -> Done:
    done = project.deploy()
    assert done.exit == 0, done.out + done.err
    return done


def served(project: Proxied, releases: int, failing: int) -> None:
    """Deploy so many releases and so many that fail, under load and beside long downloads: every request is answered."""
    project.write(drain_within=f"{DOWNLOAD + 10}s")
    deployed(project)
    wrong: list[str] = []
    with Load(project.url("/"), rate=100) as load:
        download = project.downloaded(wrong)
        for number in range(releases + failing):
            if not download.is_alive():
                download = project.downloaded(wrong)
            if number % 5 == 4 and number // 5 < failing:
                project.failing(number)
                assert project.deploy().exit == 1
                assert f"version {number - 1}" in load.last
            else:
                project.write(env={"VERSION": str(number)}, drain_within=f"{DOWNLOAD + 10}s")
                deployed(project)
        load.more(1)
        download.join()
    assert (wrong, load.failures, load.sent - load.answered) == ([], [], 0)
    assert load.rate > 80
    assert len(load.names) >= releases
    assert project.containers == {project.container, project.proxy}


def test_every_request_is_answered_while_releases_come_and_fail(proxied: Proxied) -> None:
    served(proxied, releases=5, failing=1)


@pytest.mark.long
def test_of_twenty_releases_and_five_that_fail_nobody_notices(proxied: Proxied) -> None:
    served(proxied, releases=20, failing=5)


def test_a_release_that_fails_beside_the_running_one_leaves_that_as_it_was(proxied: Proxied) -> None:
    before = proxied.inspect()["Id"]
    proxied.failing(1)
    done = proxied.deploy()
    assert done.exit == 1
    assert "goodbye" in done.failure("toy/release")
    assert "runs on, as before" in done.failure("toy/release")
    assert proxied.inspect()["Id"] == before
    assert proxied.containers == {proxied.container, proxied.proxy}


def test_what_a_release_is_asked_for_is_waited_for_and_no_longer(proxied: Proxied) -> None:
    """A download that takes longer than `drain_within` is cut, and that is said."""
    proxied.write(env={"VERSION": "hasty"}, drain_within="2s")
    wrong: list[str] = []
    download = proxied.downloaded(wrong, seconds=15)
    done = deployed(proxied)
    assert any("1 requests were not answered within 2 s" in str(event) for event in done.events)
    download.join()
    assert len(wrong) == 1  # the toy ends without waiting for its requests


@pytest.mark.parametrize("part", [0.2, 0.4, 0.6, 0.8])
def test_a_killed_deploy_is_finished_by_the_next_and_requests_are_answered(proxied: Proxied, part: float) -> None:
    with Load(proxied.url("/"), rate=50) as load:
        moment, alive = proxied.kill_one(part, attempts=5)
        assert alive, f"it was over after {moment} s each time"
        load.more(1)
        deployed(proxied)
        load.more(1)
    assert load.failures == []
    assert proxied.containers == {proxied.container, proxied.proxy}
    assert proxied.deploy("--plan").exit == 0


def test_a_restarted_proxy_and_a_restarted_service_serve_the_release_that_runs(proxied: Proxied) -> None:
    proxied.change("behind a restart")
    deployed(proxied)
    subprocess.run(["docker", "restart", "-t", "0", proxied.proxy], check=True, capture_output=True)
    assert_answers(proxied, "version behind a restart")
    with Load(proxied.url("/"), rate=20) as load:
        assert proxied.invoke("restart", "--service", "toy").exit == 0
    assert load.failures == []  # what comes meanwhile waits for it
    subprocess.run(["docker", "restart", "-t", "0", proxied.container, proxied.proxy], check=True, capture_output=True)
    assert_answers(proxied, "version behind a restart")


def assert_answers(project: Proxied, text: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            answer = requests.get(project.url("/"), timeout=5)
            if answer.ok and text in answer.text:
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, "it does not answer"
        time.sleep(0.1)


def test_a_stopped_proxy_is_told_by_status_and_put_right_by_a_deploy(proxied: Proxied) -> None:
    subprocess.run(["docker", "stop", proxied.proxy], check=True, capture_output=True)
    status = json.loads(proxied.invoke("status", "--output", "json").out)
    assert status["services"][0]["ready"] == 0
    assert f"its proxy, {proxied.proxy}, is exited" in status["warnings"][0]
    assert proxied.deploy("--plan").exit == 3
    deployed(proxied)
    assert requests.get(proxied.url("/"), timeout=5).ok


def test_a_proxy_comes_and_goes_with_the_environment(proxied: Proxied) -> None:
    proxied.environment(proxy=False)
    assert deployed(proxied).steps["toy/release"] == "changed"
    assert proxied.containers == {proxied.container}
    assert requests.get(proxied.url("/"), timeout=5).ok
    proxied.environment()
    assert deployed(proxied).steps["toy/release"] == "changed"
    assert proxied.containers == {proxied.container, proxied.proxy}
    assert requests.get(proxied.url("/"), timeout=5).ok
    proxied.environment(proxy=False)
    proxied.write(note="fails", env={"VERSION": "2", "FAULT_BESIDE": proxied.container})  # alone, it knows itself
    assert proxied.deploy().exit == 1
    assert requests.get(proxied.url("/"), timeout=5).text.endswith("version 1\n")  # through the proxy, as before
    assert proxied.containers == {proxied.container, proxied.proxy}


def test_a_rollback_takes_over_as_a_release_does(proxied: Proxied) -> None:
    number = proxied.status()["release"]
    proxied.change("rolled back")
    deployed(proxied)
    with Load(proxied.url("/"), rate=50) as load:
        assert proxied.invoke("rollback", "--service", "toy", "--to", str(number)).exit == 0
    assert (load.failures, proxied.status()["release"]) == ([], number)
    assert load.last.endswith("version 1\n")


def test_its_control_socket_and_the_containers_answer_nobody_outside(proxied: Proxied) -> None:
    """Asked from another container of the machine, at the host's and the proxy's own addresses."""
    address = subprocess.check_output(
        ["docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", proxied.proxy],
        text=True,
    ).strip()
    image = subprocess.check_output(["docker", "inspect", "-f", "{{.Image}}", proxied.proxy], text=True).strip()
    ask = "for port in 8080 8081; do if nc -w 2 $0 $port </dev/null >/dev/null 2>&1; then echo open; else echo closed; fi; done"
    words = ["docker", "run", "--rm", "--network", proxied.name, "--entrypoint", "sh", image, "-c", ask, address]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stdout.split() == ["open", "closed"]
    for container in (proxied.container, proxied.proxy):
        found = json.loads(subprocess.check_output(["docker", "inspect", container]))[0]
        bound = [way["HostIp"] for ways in found["HostConfig"]["PortBindings"].values() for way in ways]
        assert bound == ["127.0.0.1"]
