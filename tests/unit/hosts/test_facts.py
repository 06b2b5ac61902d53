"""The probe: the real script on this machine, and the parser on recorded answers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from slipway.errors import Problem
from slipway.hosts.facts import SCRIPT, BuildFacts, Facts, Jdk, build_script, parse, parse_build
from tests import facts


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_probe_runs_under_every_shell_and_finds_this_machine(shell: str) -> None:
    done = subprocess.run([shell, "-s"], input=SCRIPT, capture_output=True, text=True, check=False, timeout=20)
    found = parse(done.stdout)
    assert found.kernel == subprocess.check_output(["uname", "-s"], text=True).strip()
    assert found.user == subprocess.check_output(["id", "-un"], text=True).strip()
    assert found.cpus >= 1


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_what_a_build_asks_for_is_what_the_probe_finds(shell: str) -> None:
    said = [
        subprocess.run([shell, "-s"], input=text, capture_output=True, text=True, check=True, timeout=20).stdout
        for text in (build_script(999), SCRIPT)
    ]
    build, whole = parse_build(said[0]), parse(said[1])
    assert build == BuildFacts(**{one.name: getattr(whole, one.name) for one in fields(BuildFacts)})
    assert build.kernel == subprocess.check_output(["uname", "-s"], text=True).strip()
    assert "slipway:user" not in said[0]
    with pytest.raises(Problem, match="cut short"):
        parse_build(said[0].replace("slipway:end=end", ""))


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


@pytest.mark.parametrize("answer", facts.ANSWERS, ids=facts.name)
def test_a_recorded_answer_is_parsed_whatever_is_printed_around_it(answer: Path) -> None:
    text, expected = answer.read_text(), facts.expected(answer)
    if "error" in expected:
        with pytest.raises(Problem, match=expected["error"]):
            parse(text)
        return
    parsed = parse(text)
    found = {name: getattr(parsed, name) for name in expected["facts"]}
    assert json.loads(json.dumps(found, default=asdict)) == expected["facts"]
    assert [jdk.major for jdk in parsed.jdks] == expected.get("jdk_majors", [])


def jdk(home: Path, version: str, jlink: str) -> Path:
    """A JDK's folder, whose `jlink` prints that."""
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
def test_a_jdk_without_jmods_is_used_where_its_jlink_links_from_the_run_time_image(
    tmp_path: Path, says: str, jmods: bool, taken: bool
) -> None:
    home = jdk(tmp_path / "jdk", "25.0.1", says)
    if jmods:
        (home / "jmods").mkdir()
    assert (Jdk("25.0.1", str(home)) in probed(JAVA_HOME=str(home)).jdks) is taken


def test_a_build_looks_for_no_jdk_behind_the_first_that_is_new_enough(tmp_path: Path) -> None:
    home, asked = jdk(tmp_path / "jdk", "25.0.1", "disabled"), tmp_path / "asked"
    (home / "jmods").mkdir()
    path = tmp_path / "default" / "bin"
    other = jdk(path.parent, "26", "Linking from run-time image enabled")
    (path / "java").write_text("")
    (path / "java").chmod(0o755)
    (path / "jlink").write_text(f"touch '{asked}'\n{(path / 'jlink').read_text()}")
    env = {"JAVA_HOME": str(home), "PATH": f"{path}:{os.environ['PATH']}"}
    for java, found in ((17, [home]), (25, [home]), (26, [home, other])):
        script = build_script(java)
        done = subprocess.run(
            ["sh", "-s"], input=script, capture_output=True, text=True, check=True, env=os.environ | env
        )
        assert [Path(one.home) for one in parse_build(done.stdout).jdks] == found
        assert done.stderr == ""
        assert asked.exists() is (other in found)


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
