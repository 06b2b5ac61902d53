"""Class data sharing: a JVM's image gets an archive of the classes that its start loads, so that the next is faster.

The image's ENTRYPOINT says where it wants the archive (`-XX:SharedArchiveFile=PATH`). The image is run once, by itself,
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

from slipway.docker.protocols import Daemon, Image, Spec
from slipway.engine.steps import Reporter
from slipway.errors import Problem

KEY = "slipway.classes"  # a label: what the archive in an image is made from
FLAG = "-XX:SharedArchiveFile="
LOG = "-Xlog:class+load:stdout:none"  # one line per class: NAME source: WHERE
LIST = "/tmp/classes.lst"  # noqa: S108  in the image
QUIET = 1.0  # seconds without a new class: it has started
PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Start:
    """What an ENTRYPOINT tells of a JVM's start: all words up to the class path, its first entry, and the archive."""

    words: tuple[str, ...]
    first: str
    archive: str

    @property
    def dump(self) -> tuple[str, ...]:
        """The command that dumps the classes on the list into the archive."""
        java, *options = self.words
        return (java, "-Xshare:dump", f"-XX:SharedClassListFile={LIST}", *options, "-cp", self.first)


def start(entrypoint: Sequence[str]) -> Start | None:
    """How an image starts its JVM; None if it wants no archive."""
    archive = next((word.removeprefix(FLAG) for word in entrypoint if word.startswith(FLAG)), "")
    for flag in ("-jar", "-cp", "-classpath", "--class-path"):
        if archive and flag in entrypoint[:-1]:
            at = entrypoint.index(flag)
            return Start(tuple(entrypoint[:at]), entrypoint[at + 1].split(":")[0], archive)
    return None


def add(
    daemon: Daemon,
    image: str,
    base: Sequence[str],
    before: Image | None,
    env: Mapping[str, str],
    labels: Mapping[str, str],
    trial: Mapping[str, str],
    report: Reporter,
) -> str:
    """The image with its archive as the last layer: that of the image before where it fits, else a new one.

    `base` are the layers that have the JVM, `env` is what a start needs, `trial` labels its container. The image
    itself, and a note, where there can be no archive.
    """
    how = start(daemon.config(image).entrypoint)
    if how is None:
        return image
    donor = ""
    try:
        key = made_from(how, base, _content(daemon, image, how.first, trial))
        kept = before.id if before and before.labels.get(KEY) == key else ""
        if not kept:
            classes = loaded(daemon, image, how, env, trial, report)
            lines = [f"FROM {image}", "USER 0", f"COPY classes.lst {LIST}", f"RUN {json.dumps(how.dump)}"]
            donor = daemon.build(_context(lines, classes), "Dockerfile", (), {}, {}, "", report)
        lines = [f"FROM {image}", f"COPY --from={kept or donor} {how.archive} {how.archive}"]
        return daemon.build(_context(lines, ""), "Dockerfile", (), {}, {**labels, KEY: key}, "", report)
    except Problem as problem:
        report.note(f"no class data, it will start more slowly: {problem.summary}")
        return image
    finally:
        if donor:
            daemon.untag(donor)


def made_from(how: Start, base: Sequence[str], content: bytes) -> str:
    """A digest of what an archive is made from: the JVM, how it is started, and the class path's first entry."""
    return hashlib.sha256(b"\0".join((repr(how).encode(), repr(base).encode(), content))).hexdigest()[:16]


def _content(daemon: Daemon, image: str, path: str, trial: Mapping[str, str]) -> bytes:
    made = daemon.create(Spec(_name(), image, trial))
    try:
        return daemon.read(made, path) or b""
    finally:
        daemon.remove(made)


def _name() -> str:
    return f"slipway-classes-{secrets.token_hex(4)}"


def loaded(
    daemon: Daemon, image: str, how: Start, env: Mapping[str, str], trial: Mapping[str, str], report: Reporter
) -> str:
    """The classes that a start of the image loads, as a list that the JVM reads."""
    options = " ".join(filter(None, (env.get("JAVA_TOOL_OPTIONS"), LOG)))
    container = daemon.create(Spec(_name(), image, trial, {**env, "JAVA_TOOL_OPTIONS": options}))
    try:
        daemon.start(container)
        newest: list[str] = []
        until = quiet = time.monotonic() + PATIENCE
        while time.monotonic() < min(until, quiet) and daemon.inspect(container).running:
            time.sleep(QUIET / 4)
            report.cancel.check()
            now = listed(list(daemon.logs(container, 100, follow=False)), how.first)  # its end tells of new ones
            if now != newest:
                newest, quiet = now, time.monotonic() + QUIET
        found = listed(list(daemon.logs(container, 1_000_000, follow=False)), how.first)
    finally:
        daemon.remove(container)
    report.output("stdout", f"{len(found)} classes are loaded by a start")
    return "".join(f"{line}\n" for line in found)


def listed(log: Sequence[str], first: str) -> list[str]:
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
