"""An image in which only the jar changed: its layer alone is new, and all layers are those of a whole build."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from slipway.docker.daemon import DockerDaemon
from slipway.docker.labels import JAR_LAYER, LABEL, SOURCE
from slipway.docker.protocols import Daemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.once import Once
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.hosts.local import LocalHost
from slipway.images import image as images
from slipway.images import reproducible_layers as layers
from tests.integration.project import purged_name

pytestmark = pytest.mark.lab

DEPS = "COPY target/slipway/deps.jar deps.jar\n"
JAR = "COPY target/slipway/app.jar app.jar\n"
BEGIN = "ARG BASE\nFROM ${BASE}\nWORKDIR /app\n"
END = 'COPY conf conf\nENTRYPOINT ["/app/app.jar"]\n'

project = pytest.fixture(purged_name)


@dataclass
class Team:
    """What an image is built from; `version` is its tag, by which the image before is found."""

    daemon: Daemon
    project: str
    dockerfile: str = BEGIN + DEPS + JAR + END
    jar: bytes = b"one"
    conf: bytes = b"conf"
    version: str = "1"
    base: str = ""
    sources: bytes = b"sources"

    def build(self, report: Reporter | None = None) -> dict[str, Any]:
        """Build it; what `docker inspect` says of it."""
        digest = hashlib.sha256(self.jar).hexdigest()[:16]
        files = {
            "Dockerfile": self.dockerfile.encode(),
            "conf": self.conf,
            "src/web.clj": self.sources,
            "target/slipway/app.jar": self.jar,
            "target/slipway/deps.jar": b"dependencies",
        }
        labels = {LABEL: self.project}
        spec = images.ImageBuild(
            project=self.project,
            service="web",
            version=self.version,
            context=tar(files),
            dockerfile="Dockerfile",
            digest=digest,
            base=self.base or f"{self.project}/base:1",
            platform="",
            env={},
            container_labels=labels,
        )
        return inspected(images.build(self.daemon, spec, Once(), report or null_reporter()))


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def inspected(image: str) -> dict[str, Any]:
    return dict(json.loads(subprocess.check_output(["docker", "inspect", image]))[0])


@pytest.fixture
def team(project: str) -> Iterator[Team]:
    with ExitStack() as closing:
        daemon = DockerDaemon(LocalHost(), closing)
        context = tar({"Dockerfile": b"FROM scratch\nCOPY f /f\n", "f": b"base"})
        daemon.images.build(context, "Dockerfile", (f"{project}/base:1",), {}, {LABEL: project}, "", null_reporter())
        yield Team(daemon, project)


def is_replaced(team: Team) -> bool:
    """Whether an image is made without a step of a build."""
    events: list[Event] = []
    team.build(Reporter("web/image", events.append, Cancel()))
    lines = [event.text for event in events if isinstance(event, Output)]
    replaced = any("the image before with another app.jar" in line for line in lines)
    assert replaced != any(line.startswith("Step 1/") for line in lines), lines
    return replaced


@pytest.mark.parametrize(
    "dockerfile",
    [
        BEGIN + DEPS + JAR + END,
        BEGIN + DEPS + "COPY --chown=7:8 target/slipway/app.jar /srv/a/b.jar\n" + END,
        BEGIN + JAR + DEPS + END,
        "ARG BASE\nFROM $BASE\n" + DEPS + "COPY target/slipway/app.jar target/slipway/conf* /lib/\n" + END,
    ],
)
def test_another_jar_is_a_layer_of_the_image_before_as_a_whole_build_makes_it(team: Team, dockerfile: str) -> None:
    team.dockerfile = dockerfile
    first = team.build()
    for jar in (b"another", b"of another length, " * 5000):
        team.jar = jar
        assert is_replaced(team)
        replaced = inspected(f"{team.project}/web:1")
        whole = replace(team, version="2").build()  # there is none of this version before
        subprocess.check_call(["docker", "rmi", "-f", f"{team.project}/web:2"], stdout=subprocess.DEVNULL)
        assert replaced["RootFS"] == whole["RootFS"]
        assert len({*replaced["RootFS"]["Layers"]} - {*first["RootFS"]["Layers"]}) == 1
        assert replaced["Config"] == {**whole["Config"], "Image": replaced["Config"]["Image"]}
        assert (replaced["Os"], replaced["Architecture"]) == (whole["Os"], whole["Architecture"])
        assert history(replaced["Id"]) == history(whole["Id"])
        assert replaced["Config"]["Labels"][SOURCE] != first["Config"]["Labels"][SOURCE]


def history(image: str) -> str:
    """The instructions of an image, without the digests of what was copied."""
    words = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image]
    return re.sub("file:[0-9a-f]{64}", "file", subprocess.check_output(words, text=True))


@pytest.mark.parametrize(
    "dockerfile",
    [
        BEGIN + "COPY target/slipway/ ./\n" + END,  # both jars in one layer
        BEGIN + DEPS + JAR + "COPY target/slipway/app.jar again.jar\n" + END,
        BEGIN + DEPS + "ADD target/slipway/app.jar app.jar\n" + END,
        "ARG BASE\nFROM ${BASE} AS a\n" + JAR + "FROM ${BASE}\n" + DEPS + "COPY --from=a /app.jar /app.jar\n" + END,
        "ARG BASE\nFROM scratch\n" + DEPS + JAR + END,
    ],
)
def test_a_jar_that_may_be_elsewhere_too_is_built(team: Team, dockerfile: str) -> None:
    team.dockerfile = dockerfile
    assert JAR_LAYER not in team.build()["Config"]["Labels"]
    team.jar = b"another"
    assert not is_replaced(team)


def test_a_file_of_the_context_that_no_instruction_copies_counts_for_nothing(team: Team) -> None:
    team.build()
    team.jar, team.sources = b"another", b"changed"
    assert is_replaced(team)


@pytest.mark.parametrize(
    "copy",
    [
        "COPY src s/",
        "COPY --chown=1:2 src/web.clj conf s/",
        "COPY ./conf/../src/ s/",
        "COPY /src s/",
        'COPY ["src", "s"]',
        "COPY s?c s/",
        "ENV D=src\nCOPY ${D} s/",
        'COPY "src" s/',
    ],
)
def test_a_file_that_an_instruction_copies_counts_however_it_is_written(team: Team, copy: str) -> None:
    team.dockerfile = f"{BEGIN}{DEPS}{JAR}{copy}\n{END}"
    assert JAR_LAYER in team.build()["Config"]["Labels"]
    team.jar, team.sources = b"another", b"changed"
    assert not is_replaced(team)
    team.jar = b"a third"
    assert is_replaced(team)


def test_what_else_changes_is_built(team: Team) -> None:
    team.build()
    team.daemon.images.tag(f"{team.project}/base:1", f"{team.project}/base:2")
    other = {
        "conf": replace(team, jar=b"two", conf=b"changed"),
        "base, of the same layers": replace(team, jar=b"two", base=f"{team.project}/base:2"),
        "dockerfile": replace(team, jar=b"two", dockerfile=team.dockerfile + "ENV A=b\n"),
    }
    for name, changed in other.items():
        team.build()
        assert not is_replaced(changed), name
    context = tar({"Dockerfile": b"FROM scratch\nCOPY f /f\n", "f": b"another base"})
    tag = f"{team.project}/base:1"
    team.build()
    team.daemon.images.build(context, "Dockerfile", (tag,), {}, {LABEL: team.project}, "", null_reporter())
    assert not is_replaced(replace(team, jar=b"three"))


def test_a_record_that_is_not_one_is_built(team: Team) -> None:
    team.build()
    tag = f"{team.project}/web:1"
    for text in ("", "{}", "[]", '{"rest": 1, "index": "x", "entries": [{}]}'):
        context = tar({"Dockerfile": f"FROM {tag}\nLABEL {JAR_LAYER}='{text}'\n".encode()})
        team.daemon.images.build(context, "Dockerfile", (tag,), {}, {}, "", null_reporter())
        assert not is_replaced(replace(team, jar=text.encode() + b".")), text


def test_an_image_whose_layers_docker_lacks_is_refused_in_its_words(team: Team, tmp_path: Path) -> None:
    ids = [f"sha256:{hashlib.sha256(text).hexdigest()}" for text in (b"missing", b"")]
    history = [{"created_by": "COPY a"}, {"created_by": "COPY b"}]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
    layers.write(tmp_path / "image.tar", {**config, "history": history}, [None, b""])
    with pytest.raises(Problem, match="could not be loaded") as refused:
        team.daemon.transfers.load(str(tmp_path / "image.tar"), null_reporter())
    assert ids[0].removeprefix("sha256:") in refused.value.details
