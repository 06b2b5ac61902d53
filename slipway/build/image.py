"""A service's image: a build context made in memory, built by the host's Docker, named by version and by digest."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

from slipway.build import jar as jars
from slipway.build import source
from slipway.hosts.docker import LABEL, Daemon, Image, State
from slipway.steps import Say

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


def build(
    daemon: Daemon,
    *,
    project: str,
    service: str,
    version: str,
    folder: Path,
    shared: Sequence[Path],
    dockerfile: str,
    digest: str,
    jar: Path | None,
    base: str,
    platform: str,
    say: Say,
) -> str:
    """Build and tag the image; its id."""
    content = context(folder, dockerfile, digest, jar, shared)
    labels = {LABEL: project, "slipway.service": service, SOURCE: digest}
    tags = (digest_tag(project, service, digest), version_tag(project, service, version))
    image = daemon.build(content, dockerfile, tags, {"BASE": base}, labels, platform, say)
    size = next((i.size for i in daemon.state(project).images if i.id == image), 0)
    say.note(f"{tags[1]}, {size / 1e6:.0f} MB")
    return image


def take(daemon: Daemon, reference: str, project: str, service: str, version: str, digest: str, say: Say) -> None:
    """Have an image that somebody else built, under the names of the project. Raises Problem if it can't be had."""
    there = next((i.id for i in daemon.state(project).images if reference in i.tags), None)
    image = there or daemon.pull(reference, say)
    for tag in (digest_tag(project, service, digest), version_tag(project, service, version)):
        daemon.tag(image, tag)
    say.note(f"{reference} is on this Docker")


def stands_on_base(folder: Path, dockerfile: str) -> bool:
    """Whether the Dockerfile takes one of our bases, as `ARG BASE`."""
    return re.search(r"^ARG +BASE\b", (folder / dockerfile).read_text(), re.MULTILINE) is not None


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
            archive.addfile(_entry(path, folder), io.BytesIO(path.read_bytes()))
        for name, content in sorted(added.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _entry(path: Path, folder: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
    entry.size = path.stat().st_size
    entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return entry
