"""Records the runs of the pictures: all services deployed to this machine's Docker, then one whose check is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.integration.project import ROOT
from tests.lab.hands import Hands
from tests.pictures import recorder

FOLDER = Path(__file__).parent
CODES = {"deploy": 0, "failed": 1}  # by recording, the exit code of its run


def record() -> None:
    """Deploy a copy of the services under a name of its own, twice, and remove everything. It takes minutes."""
    with TemporaryDirectory() as folder:
        services = Path(folder) / "services"
        shutil.copytree(ROOT / "services", services, ignore=shutil.ignore_patterns("target", ".lein*"))
        hands = Hands(Path(folder), "local", services)
        try:
            _run(hands, "deploy")
            check = services / "provider" / "service.yaml"
            check.write_text(check.read_text().replace("status: 200", "status: 418", 1))
            _run(hands, "failed")
        finally:
            hands.invoke("down", "--purge")
            hands.purge()


def _run(hands: Hands, name: str) -> None:
    """Record a deploy, as it would be under the usual names. Raises RuntimeError if it ends as it should not."""
    words = [sys.executable, "-m", recorder.__name__, *hands.command("deploy", "--output", "record")[1:]]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != CODES[name]:
        raise RuntimeError(f"the deploy of {name} ended with {done.returncode}")
    text = done.stdout.replace(f"{hands.folder}/", "").replace(hands.name, "hh")
    (FOLDER / f"{name}.jsonl").write_text(text)
