"""Class data sharing: an image gets an archive of the classes that its JVM loads at start, which makes it start faster.

The image's ENTRYPOINT names the archive (`-XX:SharedArchiveFile=PATH`). The image is run once, by itself, until it
loads no more classes; the JVM logs them, and another one dumps them. The archive holds the JDK's classes and those of
the class path's first entry, because that is all that may stay the same when the rest changes: with the dependencies
first, a change of code moves no class data. Where it can't be made the image stays as it is: a JVM whose archive is
missing or does not fit starts without it (`-Xshare:auto`, its default).
"""

from __future__ import annotations

import hashlib
import io
import re
import secrets
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import CLASSES
from slipway.docker.protocols import Daemon
from slipway.docker.state import Image
from slipway.engine.once import Once
from slipway.engine.reporter import Reporter
from slipway.errors import ConnectionLost, Problem
from slipway.images.reproducible_layers import ImageContent

FLAG = "-XX:SharedArchiveFile="
LOG_CLASSES = "-Xlog:class+load:stdout:none"  # one line per class: NAME source: WHERE
SCRATCH = "/slipway-class-data"  # in the container, where the JVM may write
CLASS_LIST, DUMPED = "dump/classes.lst", "dump/classes.jsa"  # in there
DUMP_TIMEOUT = 120.0  # seconds
POLL = 0.1  # seconds
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
        """The command that dumps the classes on the list into an archive: of two options the JVM takes the last."""
        java, *options = self.command
        files = (f"-XX:SharedClassListFile={SCRATCH}/{CLASS_LIST}", f"{FLAG}{SCRATCH}/{DUMPED}")
        return (java, "-Xshare:dump", *options, *files, "-cp", self.first_entry)


@dataclass(frozen=True)
class ClassData:
    """An archive: its path in the image, its content, and the digest of what it was made from."""

    path: str
    content: bytes
    key: str

    def add_to(self, image: ImageContent) -> None:
        """Make it the uppermost layer of an image, and `key` a label."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as out:
            entry = tarfile.TarInfo(self.path.lstrip("/"))
            entry.size, entry.mode = len(self.content), 0o444
            out.addfile(entry, io.BytesIO(self.content))
        image.append(buffer.getvalue(), f"COPY {self.path}")
        image.labels[CLASSES] = self.key


def parse_entrypoint(entrypoint: Sequence[str]) -> JvmStart | None:
    """How an ENTRYPOINT starts its JVM; None if it names no archive."""
    archive = next((word.removeprefix(FLAG) for word in entrypoint if word.startswith(FLAG)), "")
    for flag in ("-jar", "-cp", "-classpath", "--class-path"):
        if archive and flag in entrypoint[:-1]:
            at = entrypoint.index(flag)
            return JvmStart(tuple(entrypoint[:at]), entrypoint[at + 1].split(":")[0], archive)
    return None


@dataclass(frozen=True)
class Start:
    """A start of an image. `base` are the layers with the JVM, `env` is what it needs, `labels` its container's."""

    image: str
    base: Sequence[str]
    env: Mapping[str, str]
    labels: Mapping[str, str]


def class_data(
    daemon: Daemon, start: Start, others: Sequence[Image], archives: Once[bytes], report: Reporter
) -> ClassData | None:
    """The class data of an image; None where it names no archive, or none can be made, which is noted.

    `others` are images whose archive it can have, if that was made from the same; `archives` are those of this run:
    services with the same dependencies share one.
    """
    how = parse_entrypoint(daemon.images.inspect(start.image).entrypoint)
    if how is None:
        return None
    options = " ".join(filter(None, (start.env.get("JAVA_TOOL_OPTIONS"), LOG_CLASSES)))
    spec = ContainerSpec(_name(), start.image, start.labels, env={**start.env, "JAVA_TOOL_OPTIONS": options})
    try:
        with _created(daemon, spec) as container:
            _require_path_without_links(daemon, container, how.archive)
            key = archive_key(how, start.base, daemon.io.read_file(container, how.first_entry) or b"")
            same = [replace(spec, image=one.id) for one in others if one.labels.get(CLASSES) == key]
            archive = archives.get(key, partial(_archive, daemon, container, spec, how, same, report))
            return ClassData(how.archive, archive, key)
    except ConnectionLost:
        raise
    except Problem as problem:
        report.note(f"no class data sharing, so it will start more slowly: {problem.summary}")
        return None


@contextmanager
def _created(daemon: Daemon, spec: ContainerSpec) -> Iterator[str]:
    """A container that exists for the length of a `with`."""
    container = daemon.containers.create(spec)
    try:
        yield container
    finally:
        daemon.containers.remove(container)


def _require_path_without_links(daemon: Daemon, container: str, path: str) -> None:
    """Raise Problem where a layer with this file would hide what a link leads to."""
    for folder in list(PurePosixPath(path).parents)[:-1]:
        if daemon.io.is_link(container, str(folder)):
            raise Problem(f"{folder} of its image is a link; let {FLAG} name the folder itself")


def _archive(
    daemon: Daemon,
    container: str,
    spec: ContainerSpec,
    how: JvmStart,
    same: Iterable[ContainerSpec],
    report: Reporter,
) -> bytes:
    """The archive of one of the `same` images, or a new one. Raises Problem."""
    for other in same:
        with suppress(Problem), _created(daemon, replace(other, name=_name())) as unstarted:  # it may be gone by now
            if content := daemon.io.read_file(unstarted, how.archive):
                return content
    return _dump(daemon, container, spec, how, report)


def _dump(daemon: Daemon, container: str, spec: ContainerSpec, how: JvmStart, report: Reporter) -> bytes:
    """The archive of the classes that a start of the container loads, dumped in another one. Raises Problem."""
    daemon.containers.start(container)
    loaded = loaded_classes(daemon, container, how, report)
    report.output("stdout", f"a start loads {len(loaded)} classes")
    spec = replace(spec, name=_name(), entrypoint=how.dump_command, env={}, scratch=(SCRATCH,))
    with _created(daemon, spec) as dumping:
        daemon.io.write_folder(dumping, SCRATCH, {CLASS_LIST: "".join(f"{name}\n" for name in loaded).encode()})
        daemon.containers.start(dumping)
        until = time.monotonic() + DUMP_TIMEOUT
        while (state := daemon.containers.inspect(dumping)).running and time.monotonic() < until:
            report.cancel.wait(POLL)
            report.cancel.check()
        ended = not state.running and state.exit_code == 0  # until it has, the file is not whole
        dumped = daemon.io.read_file(dumping, f"{SCRATCH}/{DUMPED}") if ended else None
        if not dumped:
            raise Problem("its JVM did not dump them", details="\n".join(daemon.io.logs(dumping, 40, follow=False)))
        return dumped


def archive_key(how: JvmStart, base: Sequence[str], content: bytes) -> str:
    """The digest of what an archive is made from: the JVM, how it is started, and the class path's first entry."""
    # spelled as earlier versions did, whose images have this digest as a label
    start = f"Start(words={how.command!r}, first={how.first_entry!r}, archive={how.archive!r})"
    return hashlib.sha256(b"\0".join((start.encode(), repr(base).encode(), content))).hexdigest()[:16]


def _name() -> str:
    return f"slipway-classes-{secrets.token_hex(4)}"


def loaded_classes(daemon: Daemon, container: str, how: JvmStart, report: Reporter) -> list[str]:
    """The classes that a start loads which is under way in a container, once it has loaded them all."""
    newest: list[str] = []
    until = idle = time.monotonic() + START_TIMEOUT
    while time.monotonic() < min(until, idle) and daemon.containers.inspect(container).running:
        time.sleep(IDLE / 4)
        report.cancel.check()
        tail = list(daemon.io.logs(container, 100, follow=False))  # new classes are at the end
        now = archivable_classes(tail, how.first_entry)
        if now != newest:
            newest, idle = now, time.monotonic() + IDLE
    return archivable_classes(list(daemon.io.logs(container, 1_000_000, follow=False)), how.first_entry)


def archivable_classes(log: Sequence[str], first: str) -> list[str]:
    """The classes of a `class+load` log that an archive can hold, sorted, in the notation of a class list."""
    source = re.compile(rf"(\S+) source: (?:shared objects file|jrt:/|file:{re.escape(first)}\b)")
    names = (source.match(line) for line in log)
    return sorted({found[1].replace(".", "/") for found in names if found and "0x" not in found[1]})
