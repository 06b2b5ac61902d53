"""The layer of a service's own jar: replaced in the last image, where nothing else changed that it is built from.

A whole build takes seconds for the sake of some kilobytes. It leaves a record on its image, as a label: a digest of
all that it copied but the jar, and where in the image the jar is. There is a record only where the jar is nowhere else:
where Docker says that it took one stage, on a base image of the project, which runs and downloads nothing, and where
one layer has one file, with the bytes of the jar. Layer by layer the image is that of a whole build.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.docker.labels import JAR_LAYER, SOURCE
from slipway.docker.protocols import Daemon
from slipway.docker.state import Image
from slipway.engine.reporter import Reporter
from slipway.errors import ConnectionLost, Problem
from slipway.images import reproducible_layers as layers
from slipway.images.build_context import SPLIT_JAR

JAR = f"{SPLIT_JAR}app.jar"  # in the build context
COPIED = re.compile(r"file:[0-9a-f]{64}")  # how the history of an image names the content that was copied
WHOLE = "."  # the build context
WRITTEN_OUT = re.compile(r"(?!--)[\w./-]+")  # no variable, no pattern, no quotes, no flag
FROM_BASE = {"FROM ${BASE}", "FROM $BASE"}
COPIES = {  # instructions that take nothing of a file but its content (Dockerfile reference)
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "USER"),
    *("VOLUME", "WORKDIR"),
}


@dataclass(frozen=True)
class Entry:
    """One entry of a layer's tar, whose time is 0."""

    name: str
    folder: bool
    mode: int
    owner: tuple[int, int, str, str]  # uid, gid, and their names


@dataclass(frozen=True)
class JarLayer:
    """The uppermost layer of an image: its entries, of which the jar is the only file.

    `rest` is the digest of all else that the image was built from, of the context what is `copied` (see `copied`);
    `history` has the place of each layer in the image's history, where Docker does not tell them from instructions that
    make none.
    """

    rest: str
    copied: tuple[str, ...]
    entries: tuple[Entry, ...]
    history: tuple[int, ...]

    def tar(self, jar: bytes) -> bytes:
        """The layer with this jar."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
            for one in self.entries:
                entry = tarfile.TarInfo(one.name)
                entry.mode = one.mode
                entry.uid, entry.gid, entry.uname, entry.gname = one.owner
                entry.type, entry.size = (tarfile.DIRTYPE, 0) if one.folder else (tarfile.REGTYPE, len(jar))
                out.addfile(entry, None if one.folder else io.BytesIO(jar))
        return buffer.getvalue()


@dataclass(frozen=True)
class Inputs:
    """What a service's image is built from, its base apart: the jar, the other files of the build context, all else."""

    jar: bytes
    files: Mapping[str, tuple[object, ...]]  # by path: kind, mode, link, digest of the content
    dockerfile: str
    platform: str
    base: str

    def rest(self, base: Sequence[str], copied: Sequence[str]) -> str:
        """The digest of all but the jar that can be in the image. `base` are the layers of the base image."""
        linked = any(kind == tarfile.SYMTYPE for kind, *_ in self.files.values())  # a COPY follows a link
        folders = [WHOLE] if linked else copied
        files = {path: file for path, file in self.files.items() if path == self.dockerfile or _is_in(path, folders)}
        given = (files, self.dockerfile, self.platform, self.base, tuple(base))
        return _digest(repr((2, given)).encode())


def inputs(context: bytes, dockerfile: str, platform: str, base: str) -> Inputs | None:
    """What an image is built from, given the tar of its build context; None where that has no jar of its own.

    `base` is the value of `ARG BASE`, which a label may have too. What a start needs (`ImageBuild.env`) does not count:
    class data are made anew for other dependencies only.
    """
    jar, files = None, dict[str, tuple[object, ...]]()
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isreg() else None
            content = file.read() if file else b""
            if entry.name == JAR:
                jar, content = content, b""
            files[entry.name] = (entry.type, entry.mode, entry.linkname, _digest(content))
    return None if jar is None else Inputs(jar, files, dockerfile, platform, base)


def only_copies(instructions: Sequence[str]) -> bool:
    """Whether a build has one stage, on a base image of the project, and runs and downloads nothing."""
    begun = [one for one in instructions if one.upper().startswith("FROM ")]
    others = [one.split(maxsplit=1)[0].upper() for one in instructions if one not in begun]
    from_elsewhere = any("--from" in one for one in instructions)
    return len(begun) == 1 and begun[0] in FROM_BASE and COPIES.issuperset(others) and not from_elsewhere


def copied(instructions: Sequence[str]) -> tuple[str, ...]:
    """The files and folders that a build takes from its context; `WHOLE` where a path is not written out."""
    lines = [one.split()[1:] for one in instructions if one.upper().startswith("COPY ")]
    paths = {word for words in lines for word in words[:-1] if not word.startswith("--chown=")}
    if not all(WRITTEN_OUT.fullmatch(path) for path in paths):
        return (WHOLE,)
    return tuple(sorted(posixpath.normpath(f"/{path}").lstrip("/") or WHOLE for path in paths))


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return any(one in (WHOLE, path) or path.startswith(f"{one}/") for one in folders)


def record(content: layers.ImageContent, given: Inputs, instructions: Sequence[str]) -> None:
    """Add the record to an image, where the jar is in one place; its layers get the order of that record.

    The jar's layer becomes the uppermost: those above another layer are others too, since Docker names each by all that
    are below it. There is none for a store that loads no archive that lacks a layer.
    """
    own, history = content.own, content.config["history"]
    holders = [i for i, layer in enumerate(own) if _has(layer, given.jar)]
    places = [place for place, entry in enumerate(history) if not entry.get("empty_layer")]
    below = len(content.base)
    if not content.own_store or len(holders) != 1 or len(places) != below + len(own):
        return
    at = holders[0]
    entries = _entries_around(own[at], given.jar) if _are_apart(own[at:]) else None
    if entries is None:
        return
    own.append(own.pop(at))
    history.insert(places[-1], history.pop(places[below + at]))
    of_layers = tuple(place for place, entry in enumerate(history) if not entry.get("empty_layer"))
    taken = copied(instructions)
    known = JarLayer(given.rest(content.base_ids, taken), taken, entries, of_layers)
    content.labels[JAR_LAYER] = json.dumps(asdict(known))


def replace(daemon: Daemon, before: Image, base: str, given: Inputs, source: str, report: Reporter) -> str | None:
    """The last image with this jar in place of its own, its new id; None where it must be built.

    `source` is the digest of the sources, a label of the image.
    """
    known = _parse(before.labels.get(JAR_LAYER, ""))
    if known is None:
        return None
    try:
        if known.rest != given.rest(daemon.images.inspect(base).layers, known.copied):
            return None
        layer = known.tar(given.jar)
        config = _with_layer(json.loads(daemon.images.configuration(before.id)), known, layer, source)
        return _load(daemon, config, layer, report)
    except ConnectionLost:
        raise
    except Problem as problem:
        report.note(f"the image is built anew: {problem.summary}")
        return None


def _with_layer(config: dict[str, Any], known: JarLayer, layer: bytes, source: str) -> dict[str, Any]:
    """A configuration with another layer and source digest. Raises Problem where it is not that of the record."""
    ids, history, labels = config["rootfs"]["diff_ids"], config["history"], config["config"]["Labels"]
    if len(known.history) != len(ids) or not all(0 <= place < len(history) for place in known.history):
        raise Problem("its record is of other layers")
    for place, entry in enumerate(history):
        entry["created_by"] = entry["created_by"].replace(f"{SOURCE}={labels[SOURCE]}", f"{SOURCE}={source}")
        if place not in known.history:
            entry["empty_layer"] = True
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    jar = history[known.history[-1]]
    config["created"] = jar["created"] = now
    jar["created_by"] = COPIED.sub(f"file:{_digest(layer)}", jar["created_by"])
    labels[SOURCE] = source
    ids[-1] = f"sha256:{_digest(layer)}"
    return config


def _load(daemon: Daemon, config: dict[str, Any], layer: bytes, report: Reporter) -> str:
    """Load an image of which the daemon has all layers but the uppermost; its id. Raises Problem where it has not."""
    ids = config["rootfs"]["diff_ids"]
    with tempfile.TemporaryDirectory(prefix="slipway-image-") as folder:
        archive = Path(folder) / "image.tar"
        layers.write(archive, config, [*[None] * (len(ids) - 1), layer])
        image = daemon.transfers.load(str(archive), report)
    if list(daemon.images.inspect(image).layers) != ids:
        raise Problem("the loaded image has other layers than its configuration", hint="docker system df")
    report.note(f"the image before with another app.jar, {len(layer) / 1e6:.2f} MB of it new")
    return image


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parse(text: str) -> JarLayer | None:
    with suppress(ValueError, TypeError, KeyError):
        read = json.loads(text)
        entries = (Entry(**{**one, "owner": tuple(one["owner"])}) for one in read["entries"])
        taken, history = tuple(map(str, read["copied"])), tuple(map(int, read["history"]))
        return JarLayer(str(read["rest"]), taken, tuple(entries), history)
    return None


def _entries(layer: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return archive.getmembers()


def _owner(entry: tarfile.TarInfo) -> tuple[int, int, str, str]:
    return entry.uid, entry.gid, entry.uname, entry.gname


def _has(layer: bytes, jar: bytes) -> bool:
    """Whether a file of a layer is the jar, byte for byte."""
    if len(layer) < len(jar):
        return False
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        same = (one for one in archive if one.isreg() and one.size == len(jar))
        return any((file := archive.extractfile(one)) is not None and file.read() == jar for one in same)


def _entries_around(layer: bytes, jar: bytes) -> tuple[Entry, ...] | None:
    """The entries of a layer that is made of folders and the jar alone, to the byte; None of any other."""
    found = tuple(Entry(one.name, one.isdir(), one.mode, _owner(one)) for one in _entries(layer))
    return found if JarLayer("", (), found, ()).tar(jar) == layer else None


def _are_apart(contents: Sequence[bytes]) -> bool:
    """Whether layers have nothing in common but folders that are the same in each: their order does not matter."""
    seen: dict[str, tuple[object, ...]] = {}
    for content in contents:
        for one in _entries(content):
            kind = (one.type, one.mode, _owner(one))
            if one.name in seen and (not one.isdir() or seen[one.name] != kind):
                return False
            if Path(one.name).name.startswith(".wh."):  # it hides what is below
                return False
            seen[one.name] = kind
    return True
