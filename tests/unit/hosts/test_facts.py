"""The probe: the real script on this machine, and the parser and decisions on recorded answers."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import requests

from slipway.config.versions import DockerTool, Script
from slipway.docker import ports
from slipway.docker.fake import FakeDaemon
from slipway.docker.protocols import Spec
from slipway.engine.events import Event, Output, Status
from slipway.engine.plan import RunResult, compute_plan
from slipway.engine.run import Run
from slipway.engine.steps import Cancel, Change, Probe, Reporter, Step
from slipway.errors import ConnectionLost, Problem
from slipway.hosts.facts import SCRIPT, Facts, Jdk, parse
from slipway.hosts.fake import FakeHost
from slipway.hosts.host import Command, Result
from slipway.installers import docker, java, packages


def recorded(**values: str) -> Facts:
    lines = {
        "kernel": "Linux",
        "arch": "x86_64",
        "system": "debian",
        "version": "12",
        "uid": "1000",
        "user": "ann",
    } | values
    return parse("".join(f"slipway:{k}={v}\n" for k, v in lines.items()) + "slipway:end=end\n")


READY = {
    "docker": "/usr/bin/docker", "dockerd": "/usr/sbin/dockerd", "engine": "Docker version 20.10.24+dfsg1, build 297e128", "socket": "yes",
    "daemon": "7", "enrolled": "ann docker",
}  # fmt: skip


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_probe_runs_under_every_shell_and_finds_this_machine(shell: str) -> None:
    done = subprocess.run([shell, "-s"], input=SCRIPT, capture_output=True, text=True, check=False, timeout=20)
    found = parse(done.stdout)
    assert found.kernel == subprocess.check_output(["uname", "-s"], text=True).strip()
    assert found.user == subprocess.check_output(["id", "-un"], text=True).strip()
    assert found.cpus >= 1


def test_the_probe_says_whether_upstreams_answer_and_behind_a_proxy_whether_that_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for proxy, reach in ((f"http://me:secret@127.0.0.1:{port}/", True), ("http://127.0.0.1:1", False)):
            env = {**os.environ, "https_proxy": proxy}
            done = subprocess.run(["sh", "-s"], input=SCRIPT, capture_output=True, text=True, check=False, env=env)
            assert parse(done.stdout).reach == {"127.0.0.1": reach}
            assert "secret" not in parse(done.stdout).proxy
    bare = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    done = subprocess.run(["sh", "-s"], input=SCRIPT, capture_output=True, text=True, check=False, env=bare)
    assert set(parse(done.stdout).reach) == {"get.docker.com", "storage.googleapis.com", "dl.k8s.io"}


def test_banners_around_the_answer_do_not_matter() -> None:
    found = parse("Welcome!\nslipway:kernel=Linux\nnoise=1\nslipway:arch=aarch64\nslipway:end=end\nbye\n")
    assert (found.kernel, found.platform) == ("Linux", "linux/arm64")


def test_an_answer_that_was_cut_short_is_refused() -> None:
    with pytest.raises(Problem, match="cut short"):
        parse("slipway:kernel=Linux\n")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "the Docker engine is not installed"),
        (
            {"dockerd": "/d", "docker": "/c", "engine": "Docker version 19.03.1, build x"},
            "Docker 19.3 is older than 20.10",
        ),
        ({"dockerd": "/d", "engine": "Docker version 26.1.5, build x"}, "Docker's client is not installed"),
        (READY, None),
        (READY | {"socket": "", "daemon": ""}, "dockerd does not run"),
        (READY | {"init": "systemd"}, "dockerd does not start with the machine"),
        (READY | {"init": "systemd", "docker_enabled": "yes"}, None),
        (
            {"release": "5.15-microsoft-standard-WSL2", "dockerd": "/d", "docker": "/c", "engine": "version 26.1"},
            "dockerd does not run",
        ),
        ({"kernel": "Darwin", "system": "", "socket": "yes"}, None),
        ({"release": "5.15-microsoft-standard-WSL2", "socket": "yes"}, None),
    ],
)
def test_an_engine_is_installed_or_started_only_where_it_is_missing_old_or_idle(
    values: dict[str, str], reason: str | None
) -> None:
    assert docker.engine_differs(recorded(**values), DockerTool()) == (Change(reason) if reason else None)


@pytest.mark.parametrize(
    ("values", "summary"),
    [
        ({"docker_host": "tcp://far:2375"}, "DOCKER_HOST is tcp://far:2375"),
        ({"docker_context": "prod"}, "Docker's context is prod"),
        ({"kernel": "Darwin", "system": ""}, "Docker does not run"),
        ({"release": "5.15-microsoft-standard-WSL2"}, "Docker does not run"),
        ({"kernel": "FreeBSD", "system": ""}, "FreeBSD is not supported"),
    ],
)
def test_a_docker_elsewhere_or_nowhere_is_refused_by_name(values: dict[str, str], summary: str) -> None:
    for ask in (lambda facts: docker.engine_differs(facts, DockerTool()), docker.group_differs):
        with pytest.raises(Problem) as caught:
            ask(recorded(**values))
        assert summary in caught.value.summary
        assert caught.value.hint


def test_joining_group_docker_is_said_to_equal_root() -> None:
    change = docker.group_differs(recorded(**READY | {"enrolled": "ann"}))
    assert change
    assert "equals root" in change.reason
    assert docker.group_differs(recorded(**READY)) is None
    assert docker.group_differs(recorded(uid="0", user="root")) is None


SYSTEM = READY | {"init": "systemd", "docker_enabled": "yes"}


class Machine:
    """A host that becomes what is installed and started there, and what was asked of it."""

    def __init__(self, tmp_path: Path, **values: str) -> None:
        self.values, self.asked, self.script = {"has": "apt-get", **values}, list[str](), 0
        self.cancel, self.daemon = Cancel(), FakeDaemon({docker.PROOF: "sha256:" + "0" * 64})
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
def test_a_plan_is_what_the_run_then_changes_whether_or_not_a_package_starts_dockerd_and_a_container_proves_it(
    tmp_path: Path, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDaemon, "start", _ended)
    machine = Machine(tmp_path, init="systemd", enrolled="ann", groups="ann")
    if not started:
        machine.values |= {key: SYSTEM[key] for key in ("docker", "dockerd", "engine")}  # there, and stopped
    planned = set(compute_plan(machine.steps()).reasons)
    result, notes = machine.run()
    changed = {name for name, status in result.statuses.items() if status is Status.CHANGED}
    assert (result.failures, changed) == ({}, planned) == ({}, {"box/docker/group", "box/docker/engine"})
    assert [note for note in notes if "a container ran: hello-world" in note]
    assert machine.run()[0].changed == 0


def _ended(daemon: FakeDaemon, container: str) -> None:
    daemon.stop(container, 0)


def test_dockerds_proxy_is_told_before_it_starts_and_taken_away_again_with_a_proof_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDaemon, "start", _ended)
    machine = Machine(tmp_path, init="systemd", enrolled="ann")
    result, notes = machine.run("http://proxy:3128")
    assert list(machine.host.files) == [docker.proxy_file("http://proxy:3128")[0]]
    assert (result.failures, result.changed, len([n for n in notes if "a container ran" in n])) == ({}, 3, 1)
    assert machine.run("http://proxy:3128")[0].changed == 0
    result, notes = machine.run("")
    assert {name for name, status in result.statuses.items() if status is Status.CHANGED} == {"box/docker/proxy"}
    assert [note for note in notes if "a container ran" in note]
    assert machine.run("")[0].changed == 0


def test_a_proxys_password_with_a_percent_is_no_specifier_of_systemd() -> None:
    text = docker.proxy_file('http://me:p%40s"s\\@proxy:3128')[1]
    assert 'Environment="HTTP_PROXY=http://me:p%%40s\\"s\\\\@proxy:3128"' in text


SCRIPTED = Script(url="https://get.docker.com", sha256="0" * 64, version="29.0")


@pytest.mark.parametrize(
    ("fault", "packages"),
    [
        (Problem("https://get.docker.com does not answer"), True),
        (1, True),
        (0, False),
        (ConnectionLost("the connection to box broke"), False),
        (Problem("`sh` took more than 1800 s on box and was ended"), False),
    ],
)
def test_the_distributions_packages_are_taken_only_once_dockers_own_script_can_not_be_had_or_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Problem | int, packages: bool
) -> None:
    monkeypatch.setattr(FakeDaemon, "start", _ended)
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
    monkeypatch.setattr(docker, "fetch", fetched)
    monkeypatch.setattr("slipway.engine.run.ATTEMPTS", 1)
    result, _ = machine.run(script=SCRIPTED)
    assert bool([text for text in machine.asked if "apt-get" in text]) is packages
    if isinstance(fault, Problem) and not packages:
        assert result.failures["box/docker/engine"].summary == fault.summary
    else:
        assert result.failures == {}


def test_dockerd_is_started_by_systemd_or_detached_with_its_usual_files() -> None:
    assert docker.starting(recorded(init="systemd")).argv[0] == "systemctl"
    text = docker.starting(recorded()).stdin.decode()
    assert "setsid dockerd" in text
    assert "/var/log/docker.log" in text


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15", 17), ("21", 21), ("1.8.0_392", 8), ("25-ea+3", 25), ("21+35", 21)]
)
def test_a_kits_major_version_is_read(version: str, major: int) -> None:
    assert Jdk(version, "/x").major == major


@pytest.mark.parametrize("said", ["/usr/lib/jvm/odd", "weird /usr/lib/jvm/odd", ""])
def test_a_kit_that_does_not_say_its_version_is_no_kit(said: str) -> None:
    assert recorded(jdk=said).jdks == ()


def kit(home: Path, version: str, jlink: str) -> Path:
    """A JDK's folder, whose jlink says that of itself."""
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "jlink").write_text(f"#!/bin/sh\necho '{jlink}'\n")
    (home / "bin" / "jlink").chmod(0o755)
    (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return home


def probed(text: str = SCRIPT, **env: str) -> Facts:
    done = subprocess.run(["sh", "-s"], input=text, capture_output=True, text=True, check=False, env=os.environ | env)
    return parse(done.stdout)


@pytest.mark.parametrize(
    ("says", "jmods", "taken"),
    [("Linking from run-time image enabled", False, True), ("disabled", False, False), ("no capabilities", True, True)],
)
def test_a_kit_without_modules_beside_it_is_taken_where_its_jlink_links_from_itself(
    tmp_path: Path, says: str, jmods: bool, taken: bool
) -> None:
    home = kit(tmp_path / "jdk", "25.0.1", says)
    if jmods:
        (home / "jmods").mkdir()
    assert (Jdk("25.0.1", str(home)) in probed(JAVA_HOME=str(home)).jdks) is taken


@pytest.mark.parametrize(("name", "runs"), [("dockerd", True), ("sleep", False)])
def test_a_process_that_has_dockerds_old_number_is_not_dockerd(tmp_path: Path, name: str, runs: bool) -> None:
    program = tmp_path / name
    program.symlink_to(shutil.which("sleep") or "")
    process = subprocess.Popen([str(program), "60"])
    try:
        (tmp_path / "pid").write_text(f"{process.pid}\n")
        assert probed(SCRIPT.replace("/var/run/docker.pid", str(tmp_path / "pid"))).daemon is runs
    finally:
        process.kill()
        process.wait()


def test_an_old_kit_is_named_in_the_reason() -> None:
    change = java.jdk_differs(recorded(jdk="11.0.2 /usr/lib/jvm/java-11"), 17)
    assert change
    assert "11.0.2" in change.reason
    assert java.jdk_differs(recorded(jdk="21.0.1 /opt/jdk"), 17) is None


@pytest.mark.parametrize(
    ("system", "like", "family"),
    [("debian", "", "debian"), ("linuxmint", "ubuntu debian", "ubuntu"), ("rocky", "rhel centos fedora", "rhel"),
     ("fedora", "", "fedora"), ("arch", "", "arch")],
)  # fmt: skip
def test_a_system_belongs_to_the_family_whose_packages_it_takes(system: str, like: str, family: str) -> None:
    assert recorded(system=system, like=like).family == family


def test_packages_are_named_by_release_before_family() -> None:
    table = {"debian-12": ("a",), "debian": ("b",)}
    assert packages.named(table, recorded()) == ("a",)
    assert packages.named(table, recorded(version="13")) == ("b",)
    assert packages.named(table, recorded(system="arch")) is None


LISTS = (
    "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 17 (apt-get)\n"
    "E: Unable to lock directory /var/lib/apt/lists/\n"
)
DPKG = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 9 (apt)...\n"


@pytest.mark.parametrize(
    ("said", "holder"),
    [
        (LISTS, "process 17 (apt-get)"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend - open (11)\n", "another program"),
        (f"{DPKG}E: Unable to locate package nope\n", ""),
        (f"{LISTS}E: Unable to locate package nope\n", ""),
        ("dnf failed\n", ""),
    ],
)
def test_a_failure_is_the_locks_only_when_that_was_the_last_error(said: str, holder: str) -> None:
    assert packages.locked(said) == holder


def test_lists_that_another_program_has_are_waited_for_and_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "POLL", 0.01)
    answers = [(100, b"", LISTS.encode()), (100, b"", LISTS.encode()), (0, b"", b""), (0, b"", b"")]
    host = FakeHost("box", recorded(has="apt-get"), {"apt-get": lambda _: answers.pop(0)})
    heard: list[str] = []
    hear = lambda event: heard.append(event.text) if isinstance(event, Output) else None  # noqa: E731
    packages.add(host, ["x"], Reporter("x", hear, Cancel()))
    assert [command.argv[-1] for command in host.ran] == ["update", "update", "update", "x"]
    waited = "waits for process 17 (apt-get), which holds the package manager's lock"
    assert heard.count(waited) == 1
    monkeypatch.setattr(packages, "LOCK_WAIT", 0)
    answers.append((100, b"", LISTS.encode()))
    with pytest.raises(Problem, match=r"process 17 \(apt-get\) holds the package manager's lock"):
        packages.add(host, ["x"], Reporter("x", hear, Cancel()))


def test_a_port_that_only_root_may_open_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprivileged(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, f"{address}: permission denied")

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        used, unused = server.getsockname()[1], other.getsockname()[1]
        other.close()
        monkeypatch.setattr(ports.socket, "socket", Unprivileged)
        ports.free_or_told("web", unused, (), lambda _: None)
        with pytest.raises(Problem, match="is taken") as by_process:
            ports.free_or_told("web", used, (), lambda _: None)
        assert "end that process" in by_process.value.hint
        daemon = FakeDaemon()
        daemon.start(daemon.create(Spec("other_web_01", daemon.load_root(b"root", "web:1", []), publish={80: used})))
        with pytest.raises(Problem) as by_container:
            ports.free_or_told("web", used, (), daemon.publishing)
        assert by_container.value.details == "container other_web_01 publishes it"
        assert by_container.value.hint.endswith("or docker rm -f other_web_01")


def test_an_untrusted_certificate_of_clojars_is_not_told_as_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")

    monkeypatch.setattr(requests, "head", refuse)
    monkeypatch.setattr(java, "clojars_url", lambda _: "https://repo.clojars.org/")
    with pytest.raises(Problem, match=r"the certificate of repo.clojars.org is not trusted") as caught:
        java.reachable(recorded())
    assert "update-ca-certificates" in caught.value.hint


def test_apt_waits_for_its_lock_and_dnf_is_known() -> None:
    apt = packages.install(["x"], recorded(has="apt-get"))
    assert all("DPkg::Lock::Timeout=300" in command.argv for command in apt)
    assert packages.install(["x"], recorded(has="dnf"))[0].argv == ("dnf", "install", "-y", "x")
    with pytest.raises(Problem, match="no package manager"):
        packages.install(["x"], recorded())
