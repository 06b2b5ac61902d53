"""A service's jar: built by Leiningen, verified, and only then named by the digest of its sources."""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from slipway.engine.events import Emit, Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import NextCommand, Problem, untrusted_certificate
from slipway.hosts import locks
from slipway.hosts.host import Command, Host
from slipway.images import jar_manifest

SOURCE_TIME = (1980, 1, 1, 0, 0, 0)
CLASS_TIME = (1980, 1, 1, 0, 1, 0)  # Clojure compiles at start when a class is not newer than its source
# hashCode: Clojure names classes in the order of identity hashes, and a jar should be the same each time.
# TieredStopAtLevel: the compiler's JVM ends before C2 pays off; Leiningen's own setting gives way to :jvm-opts.
OPTIONS = "-XX:+UnlockExperimentalVMOptions -XX:hashCode=2 -XX:TieredStopAtLevel=1"
# Variables that are about other runs of Leiningen: LEIN_SILENT hides how far it is, a trampoline starts what an earlier
# run left, CLASSPATH puts other code before its own. All else is inherited: what it needs to work here (LEIN_HOME,
# LEIN_OFFLINE, LEIN_JVM_OPTS, JVM_OPTS, proxies, passwords), and what allows a build (LEIN_SNAPSHOTS_IN_RELEASE).
UNSET = ("LEIN_SILENT", "LEIN_FAST_TRAMPOLINE", "LEIN_TRAMPOLINE_WARMUP", "TRAMPOLINE_FILE", "CLASSPATH")
RESOLVED = ("Compiling ", "Created ")  # what Leiningen prints once it has the dependencies
VERSIONED = re.compile(r"^META-INF/versions/\d+/")  # classes for one release of Java and later ones
LOCK = ".lein-slipway.lock"  # in the project, where all users' processes find it; not in target, which lein cleans


@dataclass(frozen=True)
class Leiningen:
    """How Leiningen is run: with which JDK, and with which profile where Clojars can't be reached."""

    java_home: str
    profile: str = ""


def find(folder: Path, digest: str) -> Path | None:
    """The verified jar of these sources, if there is one."""
    return next(iter(sorted((folder / "target").rglob(f"*.{digest}.jar"))), None)


def original_name(jar: Path, digest: str) -> str:
    """The file name that Leiningen gave the jar, which a Dockerfile may name."""
    return jar.name.removesuffix(f".{digest}.jar") + ".jar"


def uberjar_command(folder: Path, lein: Leiningen) -> Command:
    """The command that builds the jar."""
    profile = ("with-profile", f"+{lein.profile}") if lein.profile else ()
    java = f"{lein.java_home}/bin/java"
    options = " ".join(filter(None, (os.environ.get("JDK_JAVA_OPTIONS"), OPTIONS)))
    env = {"JDK_JAVA_OPTIONS": options} | {
        "JAVA_HOME": lein.java_home,
        "JAVA_CMD": java,
        "LEIN_JAVA_CMD": java,
        "LEIN_ROOT": "1",
        "TERM": "dumb",
    }
    return Command(("lein", *profile, "uberjar"), env=env, unset=UNSET, cwd=str(folder), timeout=1800, idle=600)


def build(
    host: Host,
    folder: Path,
    digest: str,
    lein: Leiningen,
    report: Reporter,
    ensure_sources_unchanged: Callable[[], None],
) -> Path:
    """Build, verify and name the jar. Raises Problem with Clojure's file, line and message when it does not compile.

    `ensure_sources_unchanged` raises Problem where the sources no longer have that digest.
    """

    def waiting(holder: str) -> None:
        report.note(f"waiting for {holder}")

    alone = locks.file_lock(folder / LOCK, f"another Leiningen in {folder.name}", waiting, report.cancel)
    with alone as lock, ExitStack() as resolving:
        if jar := find(folder, digest):
            report.note("another process has just built it")
            return jar
        started = time.time()
        path, holder = locks.user_lock_path("maven"), f"the Leiningen of {folder.name}, which resolves dependencies"
        resolving.enter_context(locks.file_lock(path, holder, waiting, report.cancel))
        until_resolved = replace(report, emit=partial(_close_when_resolved, resolving, report.emit))
        result = host.run(replace(uberjar_command(folder, lein), pass_fds=(lock,)), until_resolved)
        output = result.text + result.stderr.decode(errors="replace")
        if result.exit_code != 0:
            ensure_sources_unchanged()  # an edit in the middle of a build is the cause of whatever it broke
            raise build_failure(folder, output)
        jar = created_jar(output)
        if jar is None or not jar.is_file() or jar.stat().st_mtime < started - 2:
            raise Problem(
                f"{folder.name}: Leiningen created no jar", details=tail(output), hint="check :main in project.clj"
            )
        verify(host, jar, lein, report)
        ensure_sources_unchanged()
        return name_by_digest(jar, digest)


def _close_when_resolved(resolving: ExitStack, emit: Emit, event: Event) -> None:
    """Let the next Leiningen resolve its dependencies: two that write to ~/.m2 at once read each other's half files."""
    if isinstance(event, Output) and event.text.startswith(RESOLVED):
        resolving.close()
    emit(event)


def created_jar(output: str) -> Path | None:
    """The uberjar among the jars that Leiningen reports as created: the last one, after the plain jar."""
    lines = re.findall(r"^Created (.+\.jar)\s*$", output, re.MULTILINE)
    return Path(lines[-1]) if lines else None


def build_failure(folder: Path, output: str) -> Problem:
    """The error of a failed build, in the words of Clojure or Leiningen."""
    name = folder.name
    error = re.search(
        r"(?:Syntax error|Unexpected error|Execution error).*?\(([^():]+):(\d+)(?::(\d+))?\)\.?\s*", output
    )
    if error:
        rest = output[error.end() :].strip().splitlines()
        repeated = ("Syntax error", "Unexpected error", "Execution error")  # by the compiler, then by its caller
        new = (line.strip() for line in rest if line.strip() and not line.strip().startswith(repeated))
        message = next(new, "")
        summary = f"{name}: {error[1]}:{error[2]}: {message or error[0].strip()}"
        return Problem(summary, details=tail(output, 12), hint=f"correct {error[1]} and run the same command again")
    if "PKIX path" in output or "unable to find valid certification path" in output:
        lines = re.findall(r"^.*(?:PKIX path|valid certification path).*$", output, re.MULTILINE)
        return untrusted_certificate("a repository", "\n".join(lines[:5]))
    if lines := re.findall(
        r"^.*(?:Could not (?:transfer|find) artifact|Failed to read artifact descriptor).*$", output, re.MULTILINE
    ):
        return Problem(
            f"{name}: dependencies could not be downloaded",
            details="\n".join(lines[:5]),
            hint="check the network or proxy",
            commands=[NextCommand("setup")],
        )
    return Problem(f"{name}: lein uberjar failed", details=tail(output), hint=f"cd {folder} && lein uberjar")


def tail(output: str, lines: int = 25) -> str:
    """The last lines of an output."""
    return "\n".join(output.strip().splitlines()[-lines:])


def verify(host: Host, jar: Path, lein: Leiningen, report: Reporter) -> None:
    """Raise Problem unless the jar is intact, and its Main-Class can be loaded if it is in it.

    One without is started by other means, as with `clojure.main -m NAMESPACE`; that is noted.
    """
    try:
        with zipfile.ZipFile(jar) as archive:
            broken = archive.testzip()
            names = set(archive.namelist())
            manifest = _manifest(archive)
    except (zipfile.BadZipFile, OSError) as error:
        raise Problem(
            f"{jar.name} is not a valid jar", details=str(error), hint="run the same command again"
        ) from error
    if broken:
        raise Problem(
            f"{jar.name} is corrupt at {broken}",
            hint="another lein may be running in this project; run the same command again",
        )
    main = jar_manifest.parse(manifest).get("Main-Class")
    if f"{main.replace('.', '/')}.class" not in names:
        reason = f"it has no class for its Main-Class, {main}" if main else "it has no Main-Class"
        report.note(f"{jar.name}: {reason}, so `java -jar` can't start it")
        return
    load = Command((f"{lein.java_home}/bin/java", "--dry-run", "-cp", str(jar), main), timeout=60)
    host.run(load, report).raise_for_status(
        f"{jar.name}: {main} can't be loaded", "it may be compiled for a newer Java"
    )


def name_by_digest(jar: Path, digest: str) -> Path:
    """Copy a verified jar to its digest's name, atomically; those of other digests are removed."""
    target = jar.with_name(f"{jar.stem}.{digest}.jar")
    handle, temporary = tempfile.mkstemp(dir=jar.parent, prefix=".slipway-")
    try:
        with os.fdopen(handle, "wb") as file, jar.open("rb") as source:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise Problem(
            f"{target.name} could not be written", details=str(error), hint="the disk may be full: df -h"
        ) from error
    for old in jar.parent.glob(f"{jar.stem}.{'[0-9a-f]' * len(digest)}.jar"):
        if old != target:
            old.unlink(missing_ok=True)
    return target


def split_jar(jar: Path, sources: Iterable[Path]) -> tuple[bytes, bytes]:
    """The jar as two: its dependencies, and the service's own entries, which find the other by Class-Path.

    Own are entries with the path of a source file (`a/b.clj` compiles to `a/b__init.class` and `a/b$f.class`), and
    Leiningen's files about the project. Both are the same bytes for the same content: sorted, with fixed times. The
    manifest goes with the service's own; that of the dependencies says whether they have classes per release of Java.
    """
    own = {str(PurePosixPath(*path.parts[i:])) for path in (_stem(s) for s in sources) for i in range(len(path.parts))}

    def is_own(name: str) -> bool:
        path = VERSIONED.sub("", name)
        return name.startswith(("META-INF/maven/", "META-INF/leiningen/")) or _namespace(path) in own or path in own

    deps, app = io.BytesIO(), io.BytesIO()
    with (
        zipfile.ZipFile(jar) as whole,
        zipfile.ZipFile(deps, "w", zipfile.ZIP_DEFLATED) as outer,
        zipfile.ZipFile(app, "w", zipfile.ZIP_DEFLATED) as inner,
    ):
        _write_manifests(whole, outer, inner, is_own)
        for name in _files(whole):
            entry = zipfile.ZipInfo(name, CLASS_TIME if name.endswith(".class") else SOURCE_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            (inner if is_own(name) else outer).writestr(entry, whole.read(name))
    return deps.getvalue(), app.getvalue()


def _files(whole: zipfile.ZipFile) -> list[str]:
    """The entries of a jar, sorted, without folders and the manifest."""
    return sorted({name for name in whole.namelist() if not name.endswith("/") and name != jar_manifest.NAME})


def _manifest(archive: zipfile.ZipFile) -> bytes:
    return archive.read(jar_manifest.NAME) if jar_manifest.NAME in archive.namelist() else b""


def _write_manifests(
    whole: zipfile.ZipFile, deps: zipfile.ZipFile, app: zipfile.ZipFile, is_own: Callable[[str], bool]
) -> None:
    """A manifest for each part; none for dependencies of which there is nothing to say."""
    manifest = jar_manifest.parse(_manifest(whole))
    versioned = any(name.startswith("META-INF/versions/") and not is_own(name) for name in _files(whole))
    others = jar_manifest.dependencies_manifest(manifest, is_own, versioned=versioned)
    if others != jar_manifest.Manifest():
        deps.writestr(zipfile.ZipInfo(jar_manifest.NAME, SOURCE_TIME), jar_manifest.write(others))
    own = jar_manifest.write(jar_manifest.app_manifest(manifest, "deps.jar", is_own))
    app.writestr(zipfile.ZipInfo(jar_manifest.NAME, SOURCE_TIME), own)


def _stem(path: Path) -> PurePosixPath:
    source = path.suffix in {".clj", ".cljc", ".java"}
    return PurePosixPath(path.with_suffix("").as_posix() if source else path.as_posix())


def _namespace(name: str) -> str:
    return re.split(r"\$|__init|\.", name, maxsplit=1)[0]
