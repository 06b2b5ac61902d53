"""Which layers of an image are its base's, over generated Dockerfiles: `docker history` and the base itself judge."""

from __future__ import annotations

import io
import json
import random
import secrets
import subprocess
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from slipway.docker.daemon import DockerDaemon
from slipway.docker.labels import LABEL
from slipway.docker.protocols import Daemon
from slipway.engine.reporter import null_reporter
from slipway.hosts.local import LocalHost
from tests.integration.project import purged_name

pytestmark = pytest.mark.lab

DOCKERFILES = 16
PLAIN, ONBUILD = "plain", "onbuild"  # the bases: the second adds a layer to whatever is built on it


project = pytest.fixture(purged_name)


def build(daemon: Daemon, project: str, dockerfile: str, *tags: str) -> tuple[str, str]:
    """An image and what it is said to be based on."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("Dockerfile", dockerfile.encode()), ("f", secrets.token_bytes(8))):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    built = daemon.images.build(buffer.getvalue(), "Dockerfile", tags, {}, {LABEL: project}, "", null_reporter())
    return built.id, built.base


def dockerfile(choose: random.Random, bases: Mapping[str, str]) -> str:
    """A Dockerfile of one to three stages, each on a base, on nothing, or on an earlier stage."""
    lines = ["# FROM nothing:1", f"ARG TAG={bases[PLAIN].rpartition(':')[2]}"]
    count = choose.randint(1, 3)
    for stage in range(count):
        earlier = [f"s{one}" for one in range(stage)]
        plain, _, tag = bases[PLAIN].rpartition(":")
        start = choose.choice([bases[PLAIN], bases[ONBUILD], f"{plain}:${{TAG:-{tag}}}", "scratch", *earlier])
        lines.append(choose.choice(["FROM {} AS s{}", "from \\\n  {} as s{}"]).format(start, stage))
        own = choose.choices(
            ["COPY f /a", "ADD f /b/", "LABEL FROM=x", "ENV A=b", "WORKDIR /w"], k=choose.randint(0, 3)
        )
        lines += [*own, *(["COPY f /c"] if start == "scratch" else [])]  # one at least: Docker makes no empty image
    return "\n".join(lines) + "\n"


def judged(image: str, bases: Mapping[str, str]) -> list[str]:
    """The layers of the base that `docker history` shows behind an image; of neither, none."""
    ids = {inspected(tag)["Id"]: tag for tag in bases.values()}
    history = subprocess.check_output(["docker", "history", "-q", "--no-trunc", image], text=True).split()
    base = next((ids[one] for one in history if one in ids), None)
    return list(inspected(base)["RootFS"]["Layers"]) if base else []


def inspected(image: str) -> dict[str, Any]:
    return dict(json.loads(subprocess.check_output(["docker", "inspect", image]))[0])


def test_the_layers_of_the_base_are_those_that_docker_history_shows(project: str) -> None:
    choose = random.Random(16)  # noqa: S311  the same Dockerfiles each time
    bases = {name: f"{project}/{name}:1" for name in (PLAIN, ONBUILD)}
    with ExitStack() as closing:
        daemon = DockerDaemon(LocalHost(), closing)
        build(daemon, project, "FROM scratch\nCOPY f /base\nCOPY f /more\n", bases[PLAIN])
        build(daemon, project, f"FROM {bases[PLAIN]}\nCOPY f /on\nONBUILD COPY f /by\n", bases[ONBUILD])
        found = set[int]()
        for _ in range(DOCKERFILES):
            text = dockerfile(choose, bases)
            image, base = build(daemon, project, text)
            layers = inspected(image)["RootFS"]["Layers"] if base else []
            said = daemon.images.inspect(base).layers if base else ()
            assert list(said) == judged(image, bases), text
            assert layers[: len(said)] == list(said), text
            found.add(len(said))
        assert found == {0, 2, 3}, "no base, and either of them"
