"""What people type: services by name, families, flags given twice, and hints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from invoke.exceptions import ParseError

from tasks import execution, names, ns
from tasks.command_line import DESTRUCTIVE, commands, expand
from tasks.completion import candidates, script
from tasks.program import Slipway
from tests.unit.tasks import fuzz

ROOT = Path(__file__).resolve().parents[3]
KNOWN = commands(ns, ns.to_contexts())


def run(
    *words: str, folder: Path = ROOT, code: int = 0, home: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "SLIPWAY_CWD": str(folder), **({"HOME": str(home)} if home else {}), **env}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tasks" / "main.py"), *words],
        cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        ("deploy auth order", "deploy --service auth --service order"),
        ("deploy -n auth -e local order", "deploy -n --service auth -e local --service order"),
        ("deploy auth status", "deploy --service auth status"),
        ("logs auth -f", "logs --service auth -f"),
        ("logs --tail 5 auth", "logs --tail 5 --service auth"),
        ("deploy --env=local auth", "deploy --env=local --service auth"),
        ("cluster start --env minikube", "cluster.start --env minikube"),
        ("host check box1 box2", "host.check --host box1 --host box2"),
        ("env use minikube", "env.use --name minikube"),
        ("new invoices --port 8090", "new --name invoices --port 8090"),
        ("setup box1 --plan", "setup --host box1 --plan"),
        ("deploy --yes staging auth", "deploy --yes staging --service auth"),
        ("deploy --yes --plan auth", "deploy --yes --plan --service auth"),
        ("deploy auth -- down", "deploy --service auth -- down"),
        ("status auth", "status auth"),
        ("-l deploy", "-l deploy"),
    ],
)
def test_words_as_they_are_typed(typed: str, parsed: str) -> None:
    assert expand(typed.split(), KNOWN) == parsed.split()


@pytest.mark.parametrize("typed", ["deploy --env a -e b", "deploy -e a --env=b", "new one two", "new one --name two"])
def test_two_values_for_one_flag_are_refused(typed: str) -> None:
    with pytest.raises(ParseError, match="is given twice: "):
        expand(typed.split(), KNOWN)


def test_the_same_value_twice_is_no_contradiction() -> None:
    assert expand(["deploy", "-e", "local", "--env", "local"], KNOWN)[0] == "deploy"


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The commands that would run, with their shared and own flags."""
    found: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(execution, "execute", lambda _, name, shared, own, __: found.append((name, shared, own)))
    Slipway().run(["./invoke", *words])
    return found


def test_short_flags_repeated_flags_and_bare_words_are_one_list_of_services(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["deploy", "auth", "-s", "order", "--service", "alert,mail", "-n", "-e", "local"]
    [(name, shared, own)] = parsed(monkeypatch, *typed)
    assert (name, own) == ("deploy", {"service": "auth,order,alert,mail", "watch": False})
    assert (shared["plan"], shared["env"]) == (True, "local")
    [(_, _, own)] = parsed(monkeypatch, "logs", "auth", "-f")
    assert own == {"service": "auth", "follow": True, "tail": "100"}


def test_variables_are_the_defaults_of_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_ENV", "staging")
    monkeypatch.setenv("SLIPWAY_OUTPUT", "json")
    [(_, shared, _)] = parsed(monkeypatch, "status")
    assert (shared["env"], shared["output"]) == ("staging", "json")
    [(_, shared, _)] = parsed(monkeypatch, "status", "-e", "local", "--output", "plain")
    assert (shared["env"], shared["output"]) == ("local", "plain")
    monkeypatch.setenv("SLIPWAY_OUTPUT", "")
    assert parsed(monkeypatch, "status")[0][1]["output"] == "auto"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("auth", "auth is a service: ./invoke deploy auth, ./invoke logs auth"),
        ("minikube", "minikube is an environment: ./invoke deploy --env minikube"),
        ("status minikube", "minikube is an environment: ./invoke status --env minikube"),
        ("deplyo", "did you mean deploy?"),
        ("deploy --evn local", "did you mean --env?"),
        ("dwon", "./invoke --list"),
        ("cluster delet", "./invoke cluster"),
        ("deploy --env", "./invoke --help deploy"),
        ("deploy --env minikube --env local", "./invoke --help deploy"),
    ],
)
def test_what_can_not_be_parsed_gets_the_right_line_as_hint(typed: str, hint: str) -> None:
    assert run(*typed.split(), code=2).stderr.endswith(f"\n  hint: {hint}\n")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("deploy minikube --plan", "minikube is an environment: --env minikube"),
        ("deploy --env auth --plan", "auth is a service: --service auth"),
        ("deploy --plan --env local --yes auth", "a service goes before it: auth --yes"),
        ("deploy --plan --env local --yes staging", "--yes local"),
    ],
)
def test_a_name_given_to_the_wrong_flag_gets_the_right_one_as_hint(typed: str, hint: str) -> None:
    assert run(*typed.split(), code=2).stderr.endswith(f"\nhint: {hint}\n")


def test_a_family_alone_lists_its_commands_by_the_names_that_run() -> None:
    listed = run("cluster").stdout
    assert listed == run("cluster", "--help").stdout == run("help", "cluster").stdout
    assert {"cluster.start", "cluster.stop", "cluster.status"} <= {*listed.split()}
    assert run("help", "deploy").stdout == run("--help", "deploy").stdout == run("deploy", "-h").stdout


def test_nothing_that_destroys_is_suggested() -> None:
    for name in DESTRUCTIVE:
        assert name in ns.task_names
        assert name not in run(name[:-1] + "x", code=2).stderr.partition("hint:")[2]


def test_every_name_of_the_json_list_runs() -> None:
    def names_in(family: dict[str, Any]) -> list[str]:
        tasks = [task["name"] for task in family["tasks"]]
        return tasks + [name for part in family["collections"] for name in names_in(part)]

    listed = names_in(json.loads(run("--list", "--list-format=json").stdout))
    assert sorted(listed) == sorted(ns.task_names)
    only = json.loads(run("--list", "env", "--list-format=json").stdout)
    assert names_in(only) == ["env.list", "env.use"]


@pytest.mark.parametrize(
    "flag", ["--echo", "--hide=both", "--pty", "--warn-only", "--no-dedupe", "-T 5", "--prompt-for-sudo-password"]
)
def test_flags_for_shell_commands_are_refused_for_commands_that_run_none(flag: str) -> None:
    assert "is for tasks of tasks_local.py: `status`" in run(*flag.split(), "status", code=2).stderr


@pytest.mark.parametrize("typed", ["-T x status", "status -T x", "status -D many"])
def test_a_word_where_a_number_belongs_is_wrong_usage(typed: str) -> None:
    assert run(*typed.split(), code=2).stderr.startswith("wrong usage: ")


@pytest.mark.parametrize("flags", [("-r", "/"), ("-c", "others")])
def test_other_tasks_than_this_checkouts_are_refused(flags: tuple[str, str]) -> None:
    assert "these are the tasks of" in run(*flags, "--list", code=2).stderr
    run("-r", ".", "-c", "tasks", "--list")


@pytest.mark.parametrize("typed", ["--list -F xyz", "--list nothing", "--list deploy", "--help nothing"])
def test_a_list_that_there_is_not_is_refused(typed: str) -> None:
    assert "hint: ./invoke --list" in run(*typed.split(), code=2).stderr


def test_invokes_files_in_the_home_folder_change_nothing(tmp_path: Path) -> None:
    expected = run("env.list", "--output", "json").stdout
    for content in ("run: {dry: true}", "run: [x", "tasks: {executor_class: a.b}", "\0"):
        for name in (".invoke.yaml", ".fabric.yaml"):
            (tmp_path / name).write_text(content)
        assert run("env.list", "--output", "json", home=tmp_path).stdout == expected, content


def test_a_teams_own_tasks_are_found_and_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: Any) -> None:
    file = tmp_path / "tasks_local.py"
    monkeypatch.setattr("tasks.team.FILE", file)
    file.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom invoke import Collection, task\n\n\n"
        "@dataclass\nclass Level:\n    value: int\n\n\n@task\ndef tidy(c, level=1, dry_run='', n=1):\n"
        "    c.run(f'echo tidy {Level(level).value}{dry_run}{n} {c.colour}', in_stream=False)\n\n\n"
        "ns = Collection(tidy)\nns.configure({'colour': 'red'})\n"
    )
    Slipway().run(["./invoke", "tidy", "--dry-run", "x", "-n", "7"])
    assert "tidy 1x7 red\n" in capfd.readouterr().out
    with pytest.raises(SystemExit) as left:
        Slipway().run(["./invoke", "tidy", "-n", "7", "-n", "8"])
    assert left.value.code == 2
    assert "-n is given twice: 7 and 8" in capfd.readouterr().err
    Slipway().run(["./invoke", "--echo", "tidy", "--level", "2"])
    assert "tidy 21 red\n" in capfd.readouterr().out
    with pytest.raises(SystemExit) as left:
        Slipway().run(["./invoke"])
    assert left.value.code == 0
    assert "This team's own:\n\n  tidy" in capfd.readouterr().out
    for wrong, told in {
        "from invoke import task\n\n\n@task\ndef deploy(c):\n    pass\n": "`deploy` is a command of Slipway",
        "from invoke import task\n\n\n@task(aliases=['deploy'])\ndef ship(c):\n    pass\n": "`deploy` is a command of",
        "import nothing_like_it\n": "tasks_local.py:1: ModuleNotFoundError: ",
        "\nx = (\n": "tasks_local.py:2: SyntaxError: ",
    }.items():
        file.write_text(wrong)
        with pytest.raises(SystemExit) as left:
            Slipway().run(["./invoke", "status"])
        assert left.value.code == 2
        assert told in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["dep"], ["deploy"]),
        (["env"], ["env", "env.list", "env.use"]),
        (["deploy", "a"], ["alert", "auth"]),
        (["deploy", "auth", "ord"], ["order"]),
        (["logs", "-s", "auth,a"], ["auth,alert"]),
        (["deploy", "--env", ""], ["local", "minikube"]),
        (["deploy", "-e", "mi"], ["minikube"]),
        (["deploy", "--env=mi"], ["--env=minikube"]),
        (["deploy", "--env", "=", "mi"], ["minikube"]),
        (["deploy", "--env", "="], ["local", "minikube"]),
        (["cluster", "s"], ["start", "status", "stop"]),
        (["env.use", "mi"], ["minikube"]),
        (["new", "--name", "mi"], []),
        (["status", "--output", ""], ["auto", "json", "live", "plain"]),
        (["deploy", "--pl"], ["--plan"]),
        (["deploy", "--settings", ""], []),
        (["deploy", "--nothing", "--also"], []),
        (["deploy", "auth", "--", "dep"], []),
        (["deploy", "--env", "a", "--env", "b", ""], []),
    ],
)
def test_what_can_follow_the_words_typed_so_far(words: list[str], found: list[str]) -> None:
    assert candidates(words, ns) == found


def test_ctrl_c_during_a_teams_task_ends_with_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "tasks_local.py"
    monkeypatch.setattr("tasks.team.FILE", file)
    file.write_text("from invoke import task\n\n\n@task\ndef wait(c):\n    raise KeyboardInterrupt\n")
    with pytest.raises(SystemExit) as left:
        Slipway().run(["./invoke", "wait"])
    assert left.value.code == 130


def test_completion_offers_the_services_of_the_folder_that_slipway_yaml_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apps" / "web").mkdir(parents=True)
    (tmp_path / "apps" / "web" / "service.yml").touch()
    (tmp_path / "slipway.yaml").write_text(f"name: team\nshort: tm\nservices: {tmp_path}/apps\n")
    monkeypatch.setenv("SLIPWAY_SETTINGS", str(tmp_path))
    assert candidates(["deploy", ""], ns)[0] == "web"
    (tmp_path / "slipway.yaml").write_text("services: [")
    assert "auth" in candidates(["deploy", ""], ns)


def test_completion_offers_the_services_of_another_team(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "service.yaml").touch()
    done = run("--complete", "--", "invoke", "deploy", "s", SLIPWAY_SERVICES=str(tmp_path))
    assert done.stdout.split() == ["scale", "setup", "shop", "smoke", "status", "stop"][2:3]


def test_names_are_those_of_the_configuration() -> None:
    listed = json.loads(run("env.list", "--output", "json").stdout)
    assert names.services() == [service["name"] for service in listed["services"]]
    assert names.environments() == [environment["name"] for environment in listed["environments"]]


def test_completion_for_another_shell_is_refused() -> None:
    assert "complete" in script("bash")
    assert "bash, fish, zsh" in run("--print-completion-script", "tcsh", code=2).stderr


@settings(max_examples=60, deadline=None)
@given(fuzz.WORDS)
def test_no_words_end_in_a_traceback(words: list[str]) -> None:
    fuzz.parse(words)
