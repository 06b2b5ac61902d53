"""A service's image: a build context made in memory, built by the host's Docker, named by version and by digest."""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.docker.protocols import LABEL, Daemon, Image, State
from slipway.engine.steps import Reporter
from slipway.images import class_data_sharing as classes
from slipway.images import jar as jars
from slipway.images import reproducible_layers as layers
from slipway.images import source_digest as source

SPLIT = "target/slipway/"  # where a Dockerfile finds deps.jar and app.jar
SOURCE = "slipway.source"


def digest_tag(project: str, service: str, digest: str) -> str:
    """The image's name by its sources."""
    return f"{project}/{service}:src-{digest}"


def version_tag(project: str, service: str, version: str) -> str:
    """The image's name by the service's version."""
    return f"{project}/{service}:{version}"


def present(state: State, project: str, service: str, digest: str) -> Image | None:
    """The image of these sources, if the daemon has it."""
    return state.tagged(digest_tag(project, service, digest))


@dataclass(frozen=True)
class Recipe:
    """What an image is made from. `base` is what `ARG BASE` gets, `env` what a start of the service needs.

    `trial` labels the container of such a start, so that one which a killed run left is found.
    """

    project: str
    service: str
    version: str
    context: bytes
    dockerfile: str
    instructions: str  # the Dockerfile's text
    digest: str
    base: str
    platform: str
    env: Mapping[str, str]
    trial: Mapping[str, str]

    @property
    def tags(self) -> tuple[str, str]:
        """The image's names: by its sources and by its version."""
        digest = digest_tag(self.project, self.service, self.digest)
        return digest, version_tag(self.project, self.service, self.version)


def build(daemon: Daemon, recipe: Recipe, report: Reporter) -> str:
    """Build the image, add its class data, settle its layers, tag it and say what it weighs; its id."""
    labels = {LABEL: recipe.project, "slipway.service": recipe.service, SOURCE: recipe.digest}
    made = daemon.build(recipe.context, recipe.dockerfile, (), {"BASE": recipe.base}, labels, recipe.platform, report)
    below = stands_on(recipe.instructions, recipe.base)
    base = daemon.config(below).layers if below else ()
    before = daemon.state(recipe.project).tagged(recipe.tags[1])
    whole = classes.add(daemon, made, base, before, recipe.env, labels, recipe.trial, report)
    had = daemon.config(before.id).layers if before else ()
    with tempfile.TemporaryDirectory(prefix="slipway-image-") as room:
        saved, settled = Path(room) / "saved.tar", Path(room) / "settled.tar"
        daemon.save(whole, str(saved), report)
        found = layers.settle(saved, settled, len(base))
        image = daemon.load(str(settled), report)
    for tag in recipe.tags:
        daemon.tag(image, tag)
    for step in dict.fromkeys((whole, made)):
        daemon.untag(step)
    for line in layers.weights(found, len(base), had):
        report.output("stdout", line)
    size, new = sum(layer.size for layer in found), sum(layer.size for layer in found if layer.id not in had)
    report.note(f"{recipe.tags[1]}, {size / 1e6:.0f} MB, {new / 1e6:.2f} MB of it new")
    return image


def take(
    daemon: Daemon, reference: str, project: str, service: str, version: str, digest: str, report: Reporter
) -> None:
    """Have an image that somebody else built, under the names of the project. Raises Problem if it can't be had."""
    there = next((i.id for i in daemon.state(project).images if reference in i.tags), None)
    image = there or daemon.pull(reference, report)
    for tag in (digest_tag(project, service, digest), version_tag(project, service, version)):
        daemon.tag(image, tag)
    report.note(f"{reference} is on this Docker")


def stands_on_base(folder: Path, dockerfile: str) -> bool:
    """Whether the Dockerfile takes one of our bases, as `ARG BASE`."""
    return re.search(r"^ARG +BASE\b", (folder / dockerfile).read_text(), re.MULTILINE) is not None


def stands_on(dockerfile: str, base: str) -> str:
    """The image that a Dockerfile's last stage stands on, from outside; empty for none (`FROM scratch`)."""
    stages: dict[str, str] = {}
    below = ""
    for line in re.finditer(r"^FROM +(?:--\S+ +)?(\S+)(?: +AS +(\S+))?", dockerfile, re.MULTILINE | re.IGNORECASE):
        named = re.sub(r"\$(\{BASE\}|BASE\b)", base, line[1])
        below = stages.get(named, "" if named == "scratch" else named)
        stages |= {line[2]: below} if line[2] else {}
    return below


def context(folder: Path, dockerfile: str, digest: str, jar: Path | None, shared: Sequence[Path] = ()) -> bytes:
    """The build context as a tar: the service's files and its jar, as the Dockerfile names it.

    A Dockerfile that copies `target/slipway/deps.jar` and `app.jar` gets the jar in two, so that a change of code
    moves one small layer; any other finds the jar where Leiningen put it, by Leiningen's name. What the jar has from
    `shared` folders counts as the service's own code.
    """
    sources = list(source.files(folder))
    added: dict[str, bytes] = {}
    if jar is not None:
        if SPLIT in (folder / dockerfile).read_text():
            own = [*sources, *(path for part in shared for path in source.files(part))]
            added[SPLIT + "deps.jar"], added[SPLIT + "app.jar"] = jars.split(jar, own)
        else:
            place = jar.with_name(jars.original(jar, digest)).relative_to(folder)
            added[place.as_posix()] = jar.read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sources:
            archive.addfile(_entry(path, folder), io.BytesIO(path.read_bytes()) if path.is_file() else None)
        for name, content in sorted(added.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _entry(path: Path, folder: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
    if not path.is_file():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
        return entry
    entry.size = path.stat().st_size
    entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return entry
