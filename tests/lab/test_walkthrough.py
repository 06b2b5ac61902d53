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
from tests.lab.toys import Toys

pytestmark = pytest.mark.lab
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_flowchart_is_of_the_services_as_they_are() -> None:
    made = subprocess.check_output([str(ROOT / "invoke"), "env.list", "--graph"], text=True)
    assert f"```mermaid\n{made}```\n" in (ROOT / "docs" / "walkthrough.md").read_text()


def test_its_commands_do_what_it_says(jars: None, toys: Toys, tmp_path: Path) -> None:  # toys: a cluster is there
    place, settings = tmp_path / "a copy", tmp_path / "settings"
    ignored = shutil.ignore_patterns(".slipway", ".git", ".lein*")
    shutil.copytree(ROOT, place, ignore=ignored, symlinks=True)
    project = Project.__new__(Project)
    project.name = f"t{secrets.token_hex(4)}"
    settings.mkdir()
    (settings / "slipway.yaml").write_text(f"name: {project.name}\nshort: {project.name}\n")
    blocks = BLOCK.findall((ROOT / "docs" / "walkthrough.md").read_text())
    assert len(blocks) == 9
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
        subprocess.run(["kubectl", "delete", "namespace", project.name, "--wait=false"], check=False)
    said = done.stdout[-6000:] + done.stderr[-3000:]
    assert done.returncode == 0, said
    assert re.search(r"Your booking is created.*Dear Ann", done.stdout), said
    assert "consumer, provider and service are asked for" in done.stdout, said
    assert "nobody offers gardening" in done.stdout, said
    assert "is running again" in done.stdout, said
    assert "the data of postgres stays as it is" in done.stdout, said
    lines = done.stdout.splitlines()
    assert (lines.count("40"), lines.count("41")) == (1, 1), said  # booked meanwhile, and with the first
    assert re.search(r"^auth +1 +3/3 ", done.stdout, re.MULTILINE), said
