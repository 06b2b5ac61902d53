"""What `./invoke` imports of Invoke, and that what it defers is there for who uses it."""

from __future__ import annotations

import subprocess
import sys

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


def test_deferred_modules_are_imported_when_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
