"""What `./invoke` imports of Invoke, and that what it defers is there for who uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.paths import ROOT

PROGRAM = """
import sys
sys.path[0] = "tasks"  # where the program is started from: the package imports Invoke
from main import import_invoke
import_invoke()
assert {"asyncio", "invoke.vendor.yaml.loader", "unittest.mock"}.isdisjoint(sys.modules)
import invoke, invoke.config, unittest.mock
assert isinstance(unittest.mock.Mock, type)
context = invoke.MockContext(run="done")
assert context.run("x").stdout == "done"
context.run.assert_called_once_with("x")
assert invoke.config.yaml.safe_load("a: [1]") == {"a": [1]}
"""


BROKEN_PIPE = "from invoke import task\n\n\n@task\ndef pipe(c):\n    raise BrokenPipeError('of a socket')\n"


def test_a_reader_that_has_read_enough_is_no_error_and_another_broken_pipe_is_one(tmp_path: Path) -> None:
    closed = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" tasks/main.py --list; echo "code $?" >&2'],
        cwd=ROOT, stdout=closed_pipe(), stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert closed.stderr == "code 0\n"
    (tmp_path / "tasks_local.py").write_text(BROKEN_PIPE)
    program = f"import tasks.team, tasks.main, pathlib; tasks.team.FILE = pathlib.Path({str(tmp_path)!r}) / 'tasks_local.py'; tasks.main.main()"
    other = subprocess.run(
        [sys.executable, "-c", program, "pipe"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (other.returncode, "BrokenPipeError: of a socket" in other.stderr) == (1, True)


def closed_pipe() -> int:
    """The end to write to of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write


UNUSED = """
import contextlib, os, sys
sys.path[0] = "tasks"
sys.argv = ["tasks/main.py", {words}]
from main import main
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.suppress(SystemExit):
    main()
print(*({unused} & {{*sys.modules}}), file=sys.stderr)
"""
UNUSED_BY = {
    "env.list": {"docker", "email.message", "importlib.metadata", "kubernetes", "paramiko", "requests", "rich", "ruamel.yaml"},
    "deploy --help": {"docker", "email.message", "kubernetes", "pydantic", "requests", "rich", "slipway.config.models"},
}  # fmt: skip


@pytest.mark.parametrize("words", UNUSED_BY)
def test_a_command_imports_nothing_that_it_does_not_use(tmp_path: Path, words: str) -> None:
    program = UNUSED.format(words=", ".join(map(repr, words.split())), unused=UNUSED_BY[words])
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    for _ in range(2):  # the first finds no files kept by an earlier one
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
    assert (done.stdout, done.stderr) == ("", "\n")


def test_deferred_modules_are_imported_when_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("variable", ["", "1"])
def test_what_a_command_compiles_is_written_for_the_next_one_unless_the_environment_says_otherwise(
    variable: str,
) -> None:
    program = "import sys; from tasks.program import Slipway; Slipway().parse_core(['./invoke', '--list'])"
    given = os.environ | {"PYTHONDONTWRITEBYTECODE": variable}
    written = [sys.executable, "-c", f"{program}; print(not sys.dont_write_bytecode)"]
    assert subprocess.check_output(written, cwd=ROOT, env=given, text=True) == f"{not variable}\n"
