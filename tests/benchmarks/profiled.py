"""The profile of one real deploy: all services are there, one line has changed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from slipway.config.load import load
from tests.benchmarks.edits import EDITS, developed
from tests.benchmarks.profile import Profile, profile
from tests.integration.project import ROOT
from tests.lab.hands import SERVICES
from tests.pictures import recorder


def deploy(line: str, where: str) -> Profile:
    """Deploy what is needed to an environment, change a line of what `edits.EDITS` names, and deploy again."""
    edit = EDITS[line]
    names = () if edit.services == SERVICES else edit.services
    with developed(where, [*load(ROOT).needs(*names), *names]) as hands:
        edit.write(hands.services, 1)
        found = recorded(hands.command("deploy", *names))
        edit.require_answer(hands, 1)
    return found


def recorded(words: Sequence[str]) -> Profile:
    """The profile of a command, run without the launcher's shell. Raises RuntimeError if it fails."""
    began = time.monotonic()
    line = [sys.executable, "-m", recorder.__name__, *words[1:], "--output", "record"]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        came = time.monotonic() - began
        lines = [first, *process.stdout]
    total = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)}\n{''.join(lines)[-3000:]}")
    events = [recorder.parse(one) for one in lines]
    return profile(events, came - events[0][0], total)
