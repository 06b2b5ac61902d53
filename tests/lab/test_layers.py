"""The same source gives the same layers: images built at different places and times."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.integration.project import ROOT
from tests.lab.hands import SERVICES, Hands

pytestmark = pytest.mark.lab


def built(folder: Path, umask: str, time: int, names: Collection[str], *, anew: bool = False) -> dict[str, list[str]]:
    """The layers of each named service's image without its class data.

    They are of this checkout's jars, or else made anew: every jar, and past Docker's cache, which does not look at times.
    """
    services = folder / "services"
    shutil.copytree(ROOT / "services", services, ignore=shutil.ignore_patterns(".lein*", *["target"] * anew))
    for path in services.glob("*/Dockerfile") if anew else ():
        before, base, after = path.read_text().partition("FROM ${BASE}\n")
        assert base, path
        path.write_text(f"{before}{base}LABEL of='{folder}'\n{after}")
    for path in services.rglob("*"):
        os.utime(path, (time, time))
    hands = Hands(folder, "local", services)
    words = hands.command("image", "--service", ",".join(names))
    try:
        done = subprocess.run(
            ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *words],
            capture_output=True,
            text=True,
            env={**os.environ, "LANG": "C"},
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        return {name: layers(f"{hands.name}/{name}:0.0.1") for name in names}
    finally:
        hands.purge()


def layers(tag: str) -> list[str]:
    """An image's layers without the last but one: its class data, below its own jar."""
    history = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", tag]
    lines = subprocess.check_output(history, text=True).splitlines()
    jar, class_data = [line for line in lines if "COPY" in line][:2]
    assert "app.jar" in jar
    assert "app.jsa" in class_data
    found = list(json.loads(subprocess.check_output(["docker", "inspect", tag]))[0]["RootFS"]["Layers"])
    return [*found[:-2], found[-1]]


@pytest.mark.parametrize("names", [("auth", "order"), pytest.param(SERVICES, marks=pytest.mark.long)])
def test_the_same_source_gives_the_same_layers(jars: None, tmp_path: Path, names: Collection[str]) -> None:
    first = built(tmp_path / "one", "022", 1_700_000_000, names)
    assert built(tmp_path / "another folder" / "deeper", "077", 1_000_000_000, names, anew=True) == first
