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

from slipway.config.models import DockerTool
from slipway.errors import Problem
from slipway.events import Output
from slipway.hosts import ports
from slipway.hosts.facts import SCRIPT, Facts, Jdk, parse
from slipway.hosts.fake import FakeHost
from slipway.steps import Cancel, Change, Say
from slipway.tools import docker, java, packages


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
        ({"kernel": "Darwin", "system": "", "socket": "yes"}, None),
        ({"release": "5.15-microsoft-standard-WSL2", "socket": "yes"}, None),
    ],
)
def test_an_engine_is_installed_only_where_it_is_missing_or_old(values: dict[str, str], reason: str | None) -> None:
    assert docker.engine_differs(recorded(**values), DockerTool()) == (Change(reason) if reason else None)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"docker_host": "tcp://far:2375"}, "DOCKER_HOST is tcp://far:2375"),
        ({"docker_context": "prod"}, "Docker's context is prod"),
        ({"kernel": "Darwin", "system": ""}, "Docker does not run"),
        ({"kernel": "FreeBSD", "system": ""}, "FreeBSD is not supported"),
    ],
)
def test_a_docker_elsewhere_or_nowhere_is_refused_by_name(values: dict[str, str], what: str) -> None:
    with pytest.raises(Problem) as caught:
        docker.engine_differs(recorded(**values), DockerTool())
    assert what in caught.value.what
    assert caught.value.fix


def test_joining_group_docker_is_said_to_equal_root() -> None:
    change = docker.group_differs(recorded(**READY | {"enrolled": "ann"}))
    assert change
    assert "equals root" in change.reason
    assert docker.group_differs(recorded(**READY)) is None
    assert docker.group_differs(recorded(uid="0", user="root")) is None


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
    packages.add(host, ["x"], Say("x", hear, Cancel()))
    assert [command.argv[-1] for command in host.ran] == ["update", "update", "update", "x"]
    waited = "waits for process 17 (apt-get), which holds the package manager's lock"
    assert heard.count(waited) == 1
    monkeypatch.setattr(packages, "LOCK_WAIT", 0)
    answers.append((100, b"", LISTS.encode()))
    with pytest.raises(Problem, match=r"process 17 \(apt-get\) holds the package manager's lock"):
        packages.add(host, ["x"], Say("x", hear, Cancel()))


def test_a_port_that_only_root_may_open_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unprivileged(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, f"{address}: permission denied")

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        used, unused = server.getsockname()[1], other.getsockname()[1]
        other.close()
        monkeypatch.setattr(ports.socket, "socket", Unprivileged)
        ports.free_or_told("web", unused, ())
        with pytest.raises(Problem, match="is taken"):
            ports.free_or_told("web", used, ())


def test_an_untrusted_certificate_of_clojars_is_not_told_as_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")

    monkeypatch.setattr(requests, "head", refuse)
    monkeypatch.setattr(java, "clojars_url", lambda _: "https://repo.clojars.org/")
    with pytest.raises(Problem, match=r"repo.clojars.org: its certificate is not trusted here") as caught:
        java.reachable(recorded())
    assert "update-ca-certificates" in caught.value.fix


def test_apt_waits_for_its_lock_and_dnf_is_known() -> None:
    apt = packages.install(["x"], recorded(has="apt-get"))
    assert all("DPkg::Lock::Timeout=300" in command.argv for command in apt)
    assert packages.install(["x"], recorded(has="dnf"))[0].argv == ("dnf", "install", "-y", "x")
    with pytest.raises(Problem, match="no package manager"):
        packages.install(["x"], recorded())
