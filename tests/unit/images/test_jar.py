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
