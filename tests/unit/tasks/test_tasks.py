"""What a task asks for before it does anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invoke import Context, Exit

from slipway.errors import NextCommand, Problem, UsageError
from slipway.flows.build import BuildByLeiningen
from tasks import deploy, execution, operate, repl
from tasks.exit_codes import ExitCode
from tasks.invocation import Invocation

ROOT = Path(__file__).resolve().parents[3]
SPY = """
import runpy, sys, threading
shared = {"docker", "fabric", "kubernetes", "paramiko", "requests", "urllib3"}
def imports(event, given):
    if event == "import" and given[0].partition(".")[0] in shared:
        line = "\t".join(("imports", given[0].partition(".")[0], threading.current_thread().name))
        sys.stdout.write(line + chr(10))  # at once: other threads write too
sys.addaudithook(imports)
runpy.run_path("tasks/main.py", run_name="__main__")
"""


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
@pytest.mark.parametrize("flag", ["service", "env", "settings"])
def test_an_empty_flag_is_refused_and_not_taken_for_one_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str, text: str
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(Invocation, "run", lambda *_: taken.append("all"))
    monkeypatch.setattr(Invocation, "run_action", lambda *_, **__: taken.append("all"))
    for task in (operate.down, deploy.deploy):
        with pytest.raises(Exit) as left:
            task(Context(), **{flag: text}, output="plain", plan=True)
        assert left.value.code == ExitCode.USAGE
        assert f"--{flag} is empty" in capsys.readouterr().err
    assert taken == []


@pytest.mark.parametrize("task", [deploy.build, deploy.image, deploy.smoke, deploy.deploy])
@pytest.mark.parametrize("plain", [True, False])
def test_without_the_cache_leiningen_builds_whatever_it_said_before(
    monkeypatch: pytest.MonkeyPatch, task: Any, plain: bool
) -> None:
    nodes: list[Any] = []
    monkeypatch.setattr(Invocation, "run", lambda _, found, *__: nodes.extend(found))
    task(Context(), service="auth", no_cache=plain, output="json", plan=True)
    assert {node.machine.reuse for node in nodes if isinstance(node, BuildByLeiningen)} == {not plain}


def test_up_is_for_this_machine_and_minds_a_protected_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(execution, "execute", lambda *given: asked.extend(given))
    deploy.up(Context())
    body, _, flags, _, blank = asked
    assert blank == ""
    assert flags["confirm"]
    with pytest.raises(Problem, match="local or minikube, not staging") as raised:
        body(SimpleNamespace(environment=SimpleNamespace(name="staging")))
    assert isinstance(raised.value, UsageError)
    assert raised.value.commands == tuple(NextCommand(task, {"env": "staging"}) for task in ("setup", "deploy"))


def test_libraries_that_share_parts_are_never_imported_by_two_threads_at_once(tmp_path: Path) -> None:
    """Kubernetes' client and docker-py in two threads at once may find requests half initialized."""
    words = [sys.executable, "-c", SPY, "deploy", "--service", "auth", "--env", "minikube", "--plan"]
    env = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)
    threads: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("imports\t"):
            _, library, thread = line.split("\t")
            threads.setdefault(library, set()).add(thread)
    assert {"docker", "kubernetes", "requests"} <= threads.keys(), done
    others = set().union(*threads.values()) - {"MainThread"}
    assert threads["kubernetes"] == {"MainThread"}, "before the threads begin"
    assert len(others) <= 1, "docker-py, on first use, by one thread"
    assert all(threads.get(library, set()) <= {"MainThread"} for library in ("fabric", "paramiko"))


def test_only_a_cluster_has_traffic_that_dev_can_take(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as left:
        repl.dev(Context(), service="auth", env="local", intercept=True, output="plain", plan=True)
    assert left.value.code == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "--intercept is of clusters: in local nothing stands in front of a service" in said
    assert "name an environment of a cluster with --env" in said
    assert "./invoke dev auth --env local" in said.replace("--service ", "")
