"""The ssh-agent of one login ends with the process that started it, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.project import ROOT

PROGRAM = """
import time
from pathlib import Path
from slipway.engine.reporter import null_reporter
from slipway.hosts.ssh.private_agent import PrivateAgent
from slipway.hosts.ssh.ssh_config import SshConfig

agent = PrivateAgent("box", SshConfig("box", "box", "ann", 22), lambda _: "", null_reporter())
agent.security_key(Path("nowhere"), b"")
print(agent.errors, flush=True)
time.sleep(60)
"""


def running(folder: str) -> list[str]:
    """The programs that were given a path in a folder."""
    lines = subprocess.check_output(["ps", "-eo", "args"], text=True).splitlines()
    return [line for line in lines if folder in line]


def test_a_killed_slipway_leaves_no_agent_and_no_folder() -> None:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        argv, env = [sys.executable, "-c", PROGRAM], {**os.environ, "TMPDIR": folder, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert "nowhere" in process.stdout.readline()  # it was not loaded, by an agent that runs
            assert any("ssh-agent" in line for line in running(folder))
            process.kill()
        deadline = time.monotonic() + 10
        while left := [*running(folder), *Path(folder).iterdir()]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
