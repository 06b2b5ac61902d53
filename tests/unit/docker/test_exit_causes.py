"""Why a container exited, found from what it left behind."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from slipway.docker.exit_causes import exit_cause
from slipway.errors import NextCommand

CODE, DIES = "it exited with code 3", "java.lang.Exception: dies"
NEWER = "A has been compiled (class file version 65.0), this runtime only recognizes versions up to 61.0"


@pytest.mark.parametrize(
    ("log", "oom", "summary"),
    [
        ("", True, "OOMKilled: it exceeded its memory limit of 64Mi"),
        (NEWER, False, "its classes are compiled for Java 21, and the image has Java 17"),
        ("Caused by: java.net.UnknownHostException: db: no", False, "it can't resolve the name db"),
        ("no main manifest attribute, in app.jar", False, "app.jar has no Main-Class to start"),
        (
            "Error: Could not find or load main class shop.main\nCaused by: java.lang.ClassNotFoundException: shop.main",
            False,
            "its class path has no class shop.main to start",
        ),
        ("java.lang.OutOfMemoryError: Java heap space", False, "the JVM ran out of heap memory (limit 64Mi)"),
        ("one\ntwo\nthree\nfour\n", False, "it exited with code 3; its last lines: two | three | four"),
        (
            "up\njava.lang.Exception: dies\n\tat a.b(c.clj:14)\n\t... 2 more\n",
            False,
            f"{CODE}; its last lines: up | {DIES}",
        ),
        ("", False, "it exited with code 3"),
    ],
)
def test_a_cause_is_named(log: str, oom: bool, summary: str) -> None:
    cause = exit_cause(3, "64Mi", log, oom=oom)
    assert cause.summary == summary
    assert cause.hint


@pytest.mark.skipif(shutil.which("java") is None, reason="needs a JVM")
@pytest.mark.parametrize("start", [("-jar", "app.jar"), ("-cp", "app.jar", "shop.main")])
def test_a_jar_that_java_can_not_start_is_told_with_what_project_clj_needs(tmp_path: Path, start: tuple[str]) -> None:
    with zipfile.ZipFile(tmp_path / "app.jar", "w") as out:
        out.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    ended = subprocess.run(["java", *start], cwd=tmp_path, capture_output=True, text=True, check=False)
    cause = exit_cause(ended.returncode, "64Mi", ended.stderr, oom=False)
    assert cause.final
    assert cause.summary.endswith(" to start")
    assert ":main" in cause.hint


def test_a_terminated_container_names_what_may_have_terminated_it() -> None:
    cause = exit_cause(143, "64Mi", "bye", oom=False)
    details = "stopped by its liveness probe, by hand, or with Docker"
    assert cause.summary == f"it exited with code 143 (SIGTERM): {details}; its last lines: bye"
    assert cause.commands == (NextCommand("setup"),)


def test_restarts_are_counted() -> None:
    assert "(2 restarts)" in exit_cause(1, "64Mi", "x", oom=False, restarts=2).summary


def test_a_killed_container_probably_ran_out_of_memory() -> None:
    cause = exit_cause(137, "64Mi", "", oom=False, restarts=2)
    assert cause.summary == ("it exited with code 137 (SIGKILL): probably out of memory (limit 64Mi) (2 restarts)")
    assert "resources.memory" in cause.hint
