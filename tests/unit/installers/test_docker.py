"""Docker on a host: when it is installed, started or refused, and what a run changes on a host in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slipway.config.versions import DockerTool, Script
from slipway.docker.fake import FakeContainers, FakeDaemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output, Status
from slipway.engine.plan import RunResult, compute_plan
from slipway.engine.reporter import Reporter
from slipway.engine.run import Run
from slipway.engine.steps import Change, Probe, Step
from slipway.errors import ConnectionLost, Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.hosts.host import Command, Result
from slipway.installers import docker
from slipway.installers.docker import engine, hello_world
from slipway.installers.docker.engine import engine_differs
from slipway.installers.docker.group import group_differs
from slipway.installers.docker.hello_world import HELLO_WORLD
from slipway.installers.docker.proxy import drop_in, proxy_differs
from slipway.installers.docker.start import start
from tests.facts import answers_with, recorded

READY = {
    "docker": "/usr/bin/docker", "dockerd": "/usr/sbin/dockerd", "engine": "Docker version 20.10.24+dfsg1, build 297e128", "socket": "yes",
    "daemon": "7", "enrolled": "ann docker",
}  # fmt: skip


@pytest.mark.parametrize(("facts", "reason"), answers_with("engine_differs"))
def test_an_engine_is_installed_or_started_only_where_it_is_missing_old_or_idle(
    facts: Facts, reason: str | None
) -> None:
    assert engine_differs(facts, DockerTool()) == (Change(reason) if reason else None)


@pytest.mark.parametrize(("facts", "summary"), answers_with("docker_refused"))
def test_another_machines_docker_or_an_unsupported_one_is_refused_by_name(facts: Facts, summary: str) -> None:
    for ask in (lambda facts: engine_differs(facts, DockerTool()), group_differs):
        with pytest.raises(Problem) as caught:
            ask(facts)
        assert summary in caught.value.summary
        assert caught.value.hint


def test_joining_group_docker_is_reported_to_equal_root() -> None:
    change = group_differs(recorded(**READY | {"enrolled": "ann"}))
    assert change
    assert "equals root" in change.reason
    assert group_differs(recorded(**READY)) is None
    assert group_differs(recorded(uid="0", user="root")) is None


SYSTEM = READY | {"init": "systemd", "docker_enabled": "yes"}


class Machine:
    """A host that becomes what is installed and started there, and what was asked of it."""

    def __init__(self, tmp_path: Path, **values: str) -> None:
        self.values, self.asked, self.script = {"has": "apt-get", **values}, list[str](), 0
        self.cancel, self.daemon = Cancel(), FakeDaemon({HELLO_WORLD: "sha256:" + "0" * 64})
        self.host = FakeHost("box", recorded(), dict.fromkeys(("sh", "systemctl", "apt-get"), self.answer))
        self.host.probe = Probe(lambda: recorded(**self.values))
        (tmp_path / "script").write_text("")
        self.fetched = str(tmp_path / "script")

    def answer(self, command: Command) -> tuple[int, bytes, bytes]:
        text = command.line + command.stdin.decode()
        self.asked.append(text)
        if "usermod" in text:
            self.values["enrolled"] = "ann docker"
        if command.argv[0] == "sh" and command.resumable:
            if self.script:
                return self.script, b"", b""
            self.values |= {key: SYSTEM[key] for key in ("docker", "dockerd", "engine")}
        if "install" in command.argv:
            self.values |= SYSTEM | {"enrolled": self.values["enrolled"]}
        if command.argv[:3] == ("systemctl", "enable", "--now"):
            self.values |= {key: SYSTEM[key] for key in ("socket", "daemon", "docker_enabled")}
        if "daemon-reload" in text:
            kept = [path for path in (self.values.get("docker_proxy"), *self.host.files) if path and path not in text]
            self.values.pop("docker_proxy", None)
            if kept:
                self.values["docker_proxy"] = kept[0]
        return 0, b"", b""

    def steps(self, proxy: str = "", script: Script | None = None) -> list[Step[Facts]]:
        want = DockerTool(script=script, packages={"debian-12": ("docker.io",)})
        return list(docker.steps(self.host, want, self.daemon, proxy=proxy))

    def run(self, proxy: str = "", script: Script | None = None) -> tuple[RunResult, list[str]]:
        heard: list[Event] = []
        result = Run(self.steps(proxy, script), heard.append, self.cancel).go()
        return result, [event.text for event in heard if isinstance(event, Output) and event.stream == "note"]


@pytest.mark.parametrize("started", [True, False])
def test_a_plan_is_what_the_run_then_changes_whether_or_not_a_package_starts_dockerd_and_a_container_is_run(
    tmp_path: Path, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeContainers, "start", _ended)
    machine = Machine(tmp_path, init="systemd", enrolled="ann", groups="ann")
    if not started:
        machine.values |= {key: SYSTEM[key] for key in ("docker", "dockerd", "engine")}  # there, and stopped
    planned = set(compute_plan(machine.steps()).reasons)
    result, notes = machine.run()
    changed = {name for name, status in result.statuses.items() if status is Status.CHANGED}
    assert (result.failures, changed) == ({}, planned) == ({}, {"box/docker/group", "box/docker/engine"})
    assert [note for note in notes if "a container ran: hello-world" in note]
    assert machine.run()[0].changed == 0


def _ended(containers: FakeContainers, container: str) -> None:
    containers.stop(container, 0)


def test_a_container_that_does_not_exit_is_no_proof_that_docker_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hello_world, "EXIT_CHECKS", 2)
    machine = Machine(tmp_path, init="systemd", enrolled="ann docker")
    result, _ = machine.run()
    assert result.failures["box/docker/engine"].summary == "a container of hello-world does not exit"
    assert machine.daemon.store.containers == {}


def test_dockerds_proxy_is_set_before_it_starts_and_removed_again_and_a_container_is_run_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeContainers, "start", _ended)
    machine = Machine(tmp_path, init="systemd", enrolled="ann")
    result, notes = machine.run("http://proxy:3128")
    assert list(machine.host.files) == [drop_in("http://proxy:3128")[0]]
    assert (result.failures, result.changed, len([n for n in notes if "a container ran" in n])) == ({}, 3, 1)
    assert machine.run("http://proxy:3128")[0].changed == 0
    result, notes = machine.run("")
    assert {name for name, status in result.statuses.items() if status is Status.CHANGED} == {"box/docker/proxy"}
    assert [note for note in notes if "a container ran" in note]
    assert machine.run("")[0].changed == 0


def test_a_percent_sign_in_a_proxys_password_is_not_a_specifier_of_systemd() -> None:
    text = drop_in('http://me:p%40s"s\\@proxy:3128')[1]
    assert 'Environment="HTTP_PROXY=http://me:p%%40s\\"s\\\\@proxy:3128"' in text


def test_dockerds_proxy_differs_unless_it_is_exactly_the_wanted_one() -> None:
    path, text = drop_in("http://proxy:3128")
    assert 'Environment="HTTPS_PROXY=http://proxy:3128"' in text
    configured = replace(recorded(init="systemd"), docker_proxy=(path,))
    assert proxy_differs(configured, "http://proxy:3128") is None
    assert proxy_differs(configured, "http://other:3128") is not None
    assert proxy_differs(recorded(init="systemd"), "http://proxy:3128") is not None


SCRIPTED = Script(url="https://get.docker.com", sha256="0" * 64, version="29.0")


@pytest.mark.parametrize(
    ("fault", "packages"),
    [
        (Problem("https://get.docker.com does not answer"), True),
        (1, True),
        (0, False),
        (ConnectionLost("the connection to box broke"), False),
        (Problem("`sh` took more than 1800 s on box and was stopped"), False),
    ],
)
def test_the_distributions_packages_are_installed_only_where_dockers_own_script_can_not_be_downloaded_or_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Problem | int, packages: bool
) -> None:
    monkeypatch.setattr(FakeContainers, "start", _ended)
    machine = Machine(tmp_path, init="systemd", enrolled="ann docker")
    if isinstance(fault, int):
        machine.script = fault
    run = machine.host.run

    def asked(command: Command, report: Reporter) -> Result:
        if command.resumable and command.argv[0] == "sh" and isinstance(fault, Problem) and packages is False:
            raise fault
        return run(command, report)

    def fetched(*_: object) -> str:
        if isinstance(fault, Problem) and packages:
            raise fault
        return machine.fetched

    monkeypatch.setattr(machine.host, "run", asked)
    monkeypatch.setattr(engine, "fetch", fetched)
    monkeypatch.setattr("slipway.engine.run.ATTEMPTS", 1)
    result, _ = machine.run(script=SCRIPTED)
    assert bool([text for text in machine.asked if "apt-get" in text]) is packages
    if isinstance(fault, Problem) and not packages:
        assert result.failures["box/docker/engine"].summary == fault.summary
    else:
        assert result.failures == {}


def test_dockerd_is_started_by_systemd_or_detached_with_its_usual_files() -> None:
    assert start(recorded(init="systemd")).argv[0] == "systemctl"
    text = start(recorded()).stdin.decode()
    assert "setsid dockerd" in text
    assert "/var/log/docker.log" in text
