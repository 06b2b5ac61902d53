"""The end of warm containers: a process that waits for it beside all commands, and removes them. The next run of their
project does the same, should this process be killed.

It imports nothing until then, so that it takes little memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway.docker.labels import Names

ROOT = Path(__file__).resolve().parents[3]
# Runs "$@" as nobody's child: it outlives this process.
DETACHED = 'exec </dev/null >/dev/null 2>&1; "$@" &'
LOOK_EVERY = 5.0  # seconds; the clock goes on while a computer sleeps, and a wait does not


def end_later(names: Names, until: datetime) -> None:
    """Remove the warm containers of a project that are kept `until` then, when that has passed; return at once.

    It replaces the process that waits for those of before. Raises Problem where none can be started.
    """
    from slipway.config.host_secrets import without_host_secrets
    from slipway.errors import Problem
    from slipway.hosts.locks import user_lock_path

    moment = str(until.timestamp())
    try:
        current = user_lock_path(f"warm-{names.project}").with_suffix(".txt")
        current.write_text(moment, encoding="utf-8")
    except OSError as error:
        raise Problem("what a smoke test needed can't be kept", details=str(error)) from error
    module = "slipway.deployers.docker.warm_end"
    words = [sys.executable, "-m", module, names.project, names.short, moment, str(current)]
    env = {**without_host_secrets(os.environ), "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-c", DETACHED, "sh", *words], env=env, cwd="/", check=False, start_new_session=True)


def main(project: str, short: str, moment: str, current: str) -> None:
    """Wait, and remove them; nothing where `current` names another moment by then."""
    while time.time() <= float(moment) + 1:
        time.sleep(LOOK_EVERY)
        if _text(Path(current)) != moment:
            return
    from contextlib import ExitStack

    from slipway.deployers.docker.warm_containers import WarmContainers
    from slipway.docker.daemon import DockerDaemon
    from slipway.docker.labels import Names
    from slipway.errors import Problem
    from slipway.hosts.local import LocalHost

    with ExitStack() as closing, suppress(Problem):
        WarmContainers(DockerDaemon(LocalHost(), closing), Names(project, short)).remove_expired()
    with suppress(OSError):
        Path(current).unlink()


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
