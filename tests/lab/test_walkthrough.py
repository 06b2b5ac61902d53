"""docs/walkthrough.md: its commands, run in its order by one shell, in a copy of this checkout."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.project import ROOT, Project

pytestmark = pytest.mark.lab
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_picture_is_of_the_services_as_they_are() -> None:
    drawn = subprocess.check_output([str(ROOT / "invoke"), "env.list", "--graph"], text=True)
    assert drawn == (ROOT / "docs" / "services.svg").read_text()


def test_its_commands_do_what_it_says(jars: None, tmp_path: Path) -> None:
    place, settings = tmp_path / "a copy", tmp_path / "settings"
    ignored = shutil.ignore_patterns(".slipway", ".git", ".lein*")
    shutil.copytree(ROOT, place, ignore=ignored, symlinks=True)
    project = Project.__new__(Project)
    project.name = f"t{secrets.token_hex(4)}"
    settings.mkdir()
    (settings / "slipway.yaml").write_text(f"name: {project.name}\nshort: {project.name}\n")
    blocks = BLOCK.findall((ROOT / "docs" / "walkthrough.md").read_text())
    assert len(blocks) == 6
    script = "\n".join(("set -eux", *blocks))
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=place,
            env={**os.environ, "SLIPWAY_SETTINGS": str(settings)},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    finally:
        project.purge()
    said = done.stdout[-6000:] + done.stderr[-3000:]
    assert done.returncode == 0, said
    assert re.search(r"Your booking is created.*Dear Ann", done.stdout), said
    assert "consumer, provider and service are asked for" in done.stdout, said
    assert '"created"\n' in done.stdout, said
    assert "the data of postgres stays as it is" in done.stdout, said
    assert done.stdout.splitlines().count("2") == 1, said  # orders
