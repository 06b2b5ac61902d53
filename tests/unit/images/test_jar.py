"""Builds of jars at once: what they share is written by one at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from slipway.engine.reporter import null_reporter
from slipway.errors import Problem
from slipway.hosts.local import LocalHost
from slipway.images import jar

LEIN = """#!/bin/sh
log=$(dirname "$0")/log
echo "resolves" >>"$log"; echo Retrieving x; sleep 0.3; echo "resolved" >>"$log"
echo Compiling shop.core; sleep 1
echo "compiled" >>"$log"
"""


def test_two_leiningens_resolve_dependencies_one_after_the_other_and_compile_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "lein").write_text(LEIN)
    (tmp_path / "lein").chmod(0o755)

    def build(name: str) -> None:
        (tmp_path / name).mkdir()
        with pytest.raises(Problem, match="created no jar"):
            jar.build(LocalHost(), tmp_path / name, "0" * 16, jar.Leiningen("/jdk"), null_reporter(), lambda: None)

    threads = [threading.Thread(target=build, args=(name,)) for name in ("auth", "order")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    lines = (tmp_path / "log").read_text().split()
    assert lines == ["resolves", "resolved", "resolves", "resolved", "compiled", "compiled"]


BUILDING_LEIN = """#!/usr/bin/env python3
import os, pathlib, sys, zipfile
if "LEIN_SILENT" not in os.environ:
    print("Created", pathlib.Path("target/a-standalone.jar").absolute())
if "LEIN_FAST_TRAMPOLINE" in os.environ or "CLASSPATH" in os.environ:
    sys.exit("something else was started")
if os.environ["LEIN_JVM_OPTS"] != "-Xmx1g" or "LEIN_OFFLINE" not in os.environ:
    sys.exit("it needs a proxy")
pathlib.Path("target").mkdir()
with zipfile.ZipFile("target/a-standalone.jar", "w") as out:
    out.writestr("a.clj", "(ns a)")
"""


def test_variables_of_the_shell_that_are_about_other_runs_of_leiningen_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    inherited = {"LEIN_JVM_OPTS": "-Xmx1g", "LEIN_OFFLINE": "true", "LEIN_NO_DEV": "1"}
    hidden = {"LEIN_SILENT": "true", "LEIN_FAST_TRAMPOLINE": "y", "CLASSPATH": "/x"}
    for name, value in (inherited | hidden).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "lein").write_text(BUILDING_LEIN)
    (tmp_path / "lein").chmod(0o755)
    folder = tmp_path / "shop"
    folder.mkdir()
    built = jar.build(LocalHost(), folder, "0" * 16, jar.Leiningen("/jdk"), null_reporter(), lambda: None)
    assert built == folder / "target" / f"a-standalone.{'0' * 16}.jar"
