"""Commands as a shell sees them: exit codes, help, bad input, a closed pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks import ns
from tasks.program import Slipway
from tasks.task import Command
from tests.integration.project import ROOT


def invoke(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **env}
    return subprocess.run(
        [str(ROOT / "invoke"), *words], capture_output=True, text=True, timeout=60, env=given, check=False
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "hint: ./invoke --list"),
        (["dploy"], "hint: did you mean deploy?"),
        (["deploy", "--frobnicate"], "hint: ./invoke --help deploy"),
        (["deploy", "--no-cash"], "hint: did you mean --no-cache?"),
        (["status", "local"], "hint: local is an environment: ./invoke status --env local"),
        (["--config"], "needed value"),
        (
            ["--config", "/nope", "deploy"],
            "--config is for tasks of tasks_local.py: `deploy` runs nothing through Invoke",
        ),
        (["--command-timeout", "x", "deploy"], "wrong usage"),
        (["deploy", "--env", "nowhere"], "unknown environment: nowhere"),
        (["deploy", "--service", "nobody"], "unknown service: nobody"),
        (["deploy", "--output", "loud"], "unknown output format: loud"),
        (["logs", "--service", "auth", "--tail", "²"], "--tail takes a whole number"),
        (["logs", "--service", "auth", "--tail", "many"], "--tail takes a whole number"),
        (["rollback", "--service", "auth", "--to", "x"], "--to takes a whole number"),
        (["scale", "--service", "auth", "--replicas", "2", "--env", "local"], "scaling needs a cluster"),
        (["scale", "--service", "auth"], "how many copies?"),
        (["scale", "--service", "postgres", "--replicas", "2"], "postgres has storage: its copies would write"),
        (["env.use"], "which environment?"),
        (["down", "--purge", "--service", ""], "--service is empty"),
        (["deploy", "--env="], "--env is empty"),
        (["setup", "--host", ","], "--host is empty"),
        (["restart", "--service", "auth,order"], "restart takes one service"),
        (["history", "--service", "aut", "--env", "local"], "did you mean auth?"),
        (["forward", "--service", "auth", "--port", "99999"], "from 1 to 65535"),
        (["logs", "--service", "auth", "--tail", "9" * 5000], "--tail takes a whole number"),
        (["scale", "--service", "auth", "--replicas", "0"], "at least one copy"),
        (["deploy", "--services", "~no-such-user/x"], "the services folder does not exist"),
        (["env.use", "--name", "staging"], "only local and minikube can be"),
        (["cluster.start", "--env", "local"], "there is no Minikube behind environment local"),
        (["bundle.verify"], "which folder?"),
        (["bundle.verify", "--dir", "/no/such"], "has no bundle.yaml"),
        (["up", "--bundle", "/no/such"], "has no bundle.yaml"),
        (["deploy", "--settings", "/no/such/folder"], "is not a folder"),
        (["deploy", "--services", "/no/such/folder"], "the services folder does not exist"),
    ],
)
def test_wrong_usage_exits_2_in_words(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        Slipway().run(["./invoke", *words])
    told = "".join(capfd.readouterr())
    assert end.value.code == 2, told
    assert said in told


def test_a_docker_elsewhere_is_refused_for_local() -> None:
    done = invoke("setup", "--plan", "--env", "local", DOCKER_HOST="tcp://192.0.2.1:2375")
    assert done.returncode == 2
    assert "DOCKER_HOST is tcp://192.0.2.1:2375" in done.stdout + done.stderr


def test_every_command_has_help_with_an_example(capfd: pytest.CaptureFixture[str]) -> None:
    names = [name for name in ns.task_names if isinstance(ns[name], Command)]
    assert len(names) > 20
    for name in names:
        with pytest.raises(SystemExit) as end:
            Slipway().run(["./invoke", "--help", name])
        shown = capfd.readouterr().out
        assert end.value.code == 0
        assert f"./invoke {name}" in shown
        assert "the environment (SLIPWAY_ENV)" in shown, "every flag is explained"


def test_a_closed_pipe_is_quiet() -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{ROOT}/invoke' setup --plan --output plain | true"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_plain_invoke_and_its_dry_flag_do_the_same() -> None:
    program = Path(sys.executable).with_name("invoke")
    plain = subprocess.run([str(program), "setup", "--plan"], capture_output=True, text=True, cwd=ROOT, check=False)
    dry = subprocess.run([str(program), "--dry", "setup"], capture_output=True, text=True, cwd=ROOT, check=False)
    ours = invoke("setup", "--plan")
    assert plain.returncode == dry.returncode == ours.returncode
    assert plain.returncode in {0, 3}
    assert "Traceback" not in plain.stderr + dry.stderr


def hanging(folder: Path) -> dict[str, str]:
    """A machine whose probe hangs: a `date` on the PATH that does not end."""
    folder.mkdir()
    (folder / "date").write_text('#!/bin/sh\ntouch "$(dirname "$0")/asked"; exec sleep 60\n')
    (folder / "date").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("words", [["setup", "--plan"], ["up", "--plan"]], ids=" ".join)
def test_ctrl_c_ends_what_only_reads_at_once(tmp_path: Path, words: list[str]) -> None:
    env = hanging(tmp_path / "bin")
    process = subprocess.Popen(
        [str(ROOT / "invoke"), *words, "--env", "local"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=env,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not (tmp_path / "bin" / "asked").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=5)
    assert process.returncode == 130, said
    assert "Traceback" not in said


def test_a_full_disk_behind_standard_output_is_reported() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(ROOT / "invoke"), "env.list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr.strip()) == (1, "cannot write to standard output: No space left on device")


def test_a_locale_without_an_arrow_ends_nothing() -> None:
    done = invoke("env.list", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert done.returncode == 0, done.stderr


def test_a_name_that_is_nearly_right_is_guessed() -> None:
    assert "did you mean auth?" in invoke("deploy", "--service", "aut", "--plan").stderr


def test_dry_is_a_plan_for_what_would_write_a_file_too(tmp_path: Path) -> None:
    before = (ROOT / ".slipway" / "environment").read_text() if (ROOT / ".slipway" / "environment").exists() else None
    done = invoke("--dry", "env.use", "--name", "minikube")
    assert (done.returncode, "would be minikube" in done.stdout) == (0, True)
    after = (ROOT / ".slipway" / "environment").read_text() if (ROOT / ".slipway" / "environment").exists() else None
    assert before == after
    assert invoke("--dry", "bundle.create", "--dir", str(tmp_path / "bundle")).returncode == 3
    assert not (tmp_path / "bundle").exists()
