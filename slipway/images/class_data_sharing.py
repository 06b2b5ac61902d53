"""Class data sharing: an image gets an archive of the classes that its JVM loads at start, which makes it start faster.

The image's ENTRYPOINT names the archive (`-XX:SharedArchiveFile=PATH`). The image is run once, by itself,
until it loads no more classes; the JVM logs them, and dumps them. The archive holds the JDK's classes and those of the
class path's first entry, because that is all that may stay the same when the rest changes: with the dependencies first,
a change of code moves no class data. Where it can't be made the image stays as it is: a JVM whose archive is missing or
does not fit starts without it (`-Xshare:auto`, its default).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import CLASSES
from slipway.docker.protocols import Daemon
from slipway.docker.state import Image
from slipway.engine.reporter import Reporter
from slipway.errors import ConnectionLost, Problem

FLAG = "-XX:SharedArchiveFile="
LOG_CLASSES = "-Xlog:class+load:stdout:none"  # one line per class: NAME source: WHERE
CLASS_LIST = "/tmp/classes.lst"  # noqa: S108  in the image
IDLE = 1.0  # seconds without another class: the start is complete
START_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class JvmStart:
    """How an ENTRYPOINT starts a JVM: the words before the class path, that path's first entry, and the archive."""

    command: tuple[str, ...]
    first_entry: str
    archive: str

    @property
    def dump_command(self) -> tuple[str, ...]:
        """The command that dumps the classes on the list into the archive."""
        java, *options = self.command
        return (java, "-Xshare:dump", f"-XX:SharedClassListFile={CLASS_LIST}", *options, "-cp", self.first_entry)


def parse_entrypoint(entrypoint: Sequence[str]) -> JvmStart | None:
    """How an ENTRYPOINT starts its JVM; None if it names no archive."""
    archive = next((word.removeprefix(FLAG) for word in entrypoint if word.startswith(FLAG)), "")
    for flag in ("-jar", "-cp", "-classpath", "--class-path"):
        if archive and flag in entrypoint[:-1]:
            at = entrypoint.index(flag)
            return JvmStart(tuple(entrypoint[:at]), entrypoint[at + 1].split(":")[0], archive)
    return None


def add_archive(
    daemon: Daemon,
    image: str,
    base: Sequence[str],
    before: Image | None,
    env: Mapping[str, str],
    labels: Mapping[str, str],
    container_labels: Mapping[str, str],
    report: Reporter,
) -> str:
    """The id of the image with its archive as the last layer: the previous image's where it fits, else a new one.

    `base` are the layers with the JVM, `env` is what a start needs, and `container_labels` are those of its container.
    Where no archive can be made, that is noted, and the image stays as it is.
    """
    how = parse_entrypoint(daemon.images.inspect(image).entrypoint)
    if how is None:
        return image
    dumped = ""
    try:
        key = archive_key(how, base, _content(daemon, image, how.first_entry, container_labels))
        reusable = before.id if before and before.labels.get(CLASSES) == key else ""
        if not reusable:
            classes = loaded_classes(daemon, image, how, env, container_labels, report)
            lines = [f"FROM {image}", "USER 0", f"COPY classes.lst {CLASS_LIST}", f"RUN {json.dumps(how.dump_command)}"]
            dumped = daemon.images.build(_context(lines, classes), "Dockerfile", (), {}, {}, "", report).id
        lines = [f"FROM {image}", f"COPY --from={reusable or dumped} {how.archive} {how.archive}"]
        return daemon.images.build(_context(lines, ""), "Dockerfile", (), {}, {**labels, CLASSES: key}, "", report).id
    except ConnectionLost:
        raise
    except Problem as problem:
        report.note(f"no class data sharing, so it will start more slowly: {problem.summary}")
        return image
    finally:
        if dumped:
            daemon.images.untag(dumped)


def archive_key(how: JvmStart, base: Sequence[str], content: bytes) -> str:
    """The digest of what an archive is made from: the JVM, how it is started, and the class path's first entry."""
    # spelled as earlier versions did, whose images have this digest as a label
    start = f"Start(words={how.command!r}, first={how.first_entry!r}, archive={how.archive!r})"
    return hashlib.sha256(b"\0".join((start.encode(), repr(base).encode(), content))).hexdigest()[:16]


def _content(daemon: Daemon, image: str, path: str, container_labels: Mapping[str, str]) -> bytes:
    made = daemon.containers.create(ContainerSpec(_name(), image, container_labels))
    try:
        return daemon.io.read_file(made, path) or b""
    finally:
        daemon.containers.remove(made)


def _name() -> str:
    return f"slipway-classes-{secrets.token_hex(4)}"


def loaded_classes(
    daemon: Daemon,
    image: str,
    how: JvmStart,
    env: Mapping[str, str],
    container_labels: Mapping[str, str],
    report: Reporter,
) -> str:
    """The classes that a start of the image loads, in the format of a class list, which the JVM reads."""
    options = " ".join(filter(None, (env.get("JAVA_TOOL_OPTIONS"), LOG_CLASSES)))
    container = daemon.containers.create(
        ContainerSpec(_name(), image, container_labels, {**env, "JAVA_TOOL_OPTIONS": options})
    )
    try:
        daemon.containers.start(container)
        newest: list[str] = []
        until = idle = time.monotonic() + START_TIMEOUT
        while time.monotonic() < min(until, idle) and daemon.containers.inspect(container).running:
            time.sleep(IDLE / 4)
            report.cancel.check()
            tail = list(daemon.io.logs(container, 100, follow=False))  # new classes are at the end
            now = archivable_classes(tail, how.first_entry)
            if now != newest:
                newest, idle = now, time.monotonic() + IDLE
        found = archivable_classes(list(daemon.io.logs(container, 1_000_000, follow=False)), how.first_entry)
    finally:
        daemon.containers.remove(container)
    report.output("stdout", f"a start loads {len(found)} classes")
    return "".join(f"{line}\n" for line in found)


def archivable_classes(log: Sequence[str], first: str) -> list[str]:
    """The classes of a `class+load` log that an archive can hold, sorted, in the notation of a class list."""
    source = re.compile(rf"(\S+) source: (?:shared objects file|jrt:/|file:{re.escape(first)}\b)")
    names = (source.match(line) for line in log)
    return sorted({found[1].replace(".", "/") for found in names if found and "0x" not in found[1]})


def _context(lines: Sequence[str], classes: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, text in {"Dockerfile": "\n".join(lines) + "\n", "classes.lst": classes}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            out.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()
