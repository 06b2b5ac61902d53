"""A service's jar: verified, and only then named by the digest of its sources; split in two for an image."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.host import Command, Host
from slipway.images import jar_manifest

SOURCE_TIME = (1980, 1, 1, 0, 0, 0)
CLASS_TIME = (1980, 1, 1, 0, 1, 0)  # Clojure compiles at start when a class is not newer than its source
VERSIONED = re.compile(r"^META-INF/versions/\d+/")  # classes for one release of Java and later ones


def newest(folders: Iterable[Path], since: float) -> Path | None:
    """The jar below these folders that was written last, and not before that time (in seconds)."""
    times = {jar: jar.stat().st_mtime for folder in folders for jar in folder.rglob("*.jar") if jar.is_file()}
    return max((jar for jar, time in times.items() if time >= since), key=times.__getitem__, default=None)


def original_path(jar: Path, digest: str, folder: Path) -> str:
    """Where the builder created the jar, as a Dockerfile may name it; in `target` where that was outside the folder."""
    name = jar.name.removesuffix(f".{digest}.jar") + ".jar"
    where = jar.parent.resolve()
    inside = where.relative_to(folder.resolve()) if where.is_relative_to(folder.resolve()) else Path("target")
    return (inside / name).as_posix()


def tail(output: str, lines: int = 25) -> str:
    """The last lines of an output."""
    return "\n".join(output.strip().splitlines()[-lines:])


def require_intact(jar: Path) -> tuple[str, set[str]]:
    """Raise Problem unless the jar is intact; its Main-Class, empty where it has none, and the names of its entries."""
    try:
        with zipfile.ZipFile(jar) as archive:
            broken = archive.testzip()
            names = set(archive.namelist())
            manifest = _manifest(archive)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, zlib.error) as error:
        raise Problem(
            f"{jar.name} is not a valid jar", details=str(error), hint="run the same command again"
        ) from error
    if broken:
        raise Problem(
            f"{jar.name} is corrupt at {broken}",
            hint="another build may be running in this project; run the same command again",
        )
    return jar_manifest.parse(manifest).get("Main-Class"), names


def verify(host: Host, jar: Path, java_home: str, report: Reporter) -> None:
    """Raise Problem unless the jar is intact, and its Main-Class can be loaded if it is in it.

    One without is started by other means, as with `clojure.main -m NAMESPACE`; that is noted.
    """
    main, names = require_intact(jar)
    if f"{main.replace('.', '/')}.class" not in names:
        reason = f"it has no class for its Main-Class, {main}" if main else "it has no Main-Class"
        report.note(f"{jar.name}: {reason}, so `java -jar` can't start it")
        return
    load = Command((f"{java_home}/bin/java", "--dry-run", "-cp", str(jar), main), timeout=60)
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
    Leiningen's files about the project. Both are the same bytes for the same jar, whenever it was built: sorted, with
    fixed times. The manifest goes with the service's own; that of the dependencies says whether they have classes per
    release of Java.
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
            _copy(whole, whole.getinfo(name), inner if is_own(name) else outer, entry)
    return deps.getvalue(), app.getvalue()


def _copy(whole: zipfile.ZipFile, info: zipfile.ZipInfo, out: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Copy an entry to the end of another jar, as `entry`; what is compressed stays as it is.

    What lies before the compressed bytes is the local file header (4.3.7 of PKWARE's APPNOTE).
    """
    source, into = whole.fp, out.fp
    if info.compress_type != zipfile.ZIP_DEFLATED or source is None or into is None:
        out.writestr(entry, whole.read(info))
        return
    source.seek(info.header_offset)
    name, extra = struct.unpack("<26x2H", source.read(30))
    source.seek(name + extra, os.SEEK_CUR)
    entry.CRC, entry.compress_size, entry.file_size = info.CRC, info.compress_size, info.file_size
    entry.external_attr = 0o600 << 16  # as zipfile has it
    entry.header_offset = into.tell()
    into.write(entry.FileHeader())
    into.write(source.read(info.compress_size))
    out.filelist.append(entry)
    out.NameToInfo[entry.filename] = entry
    out.start_dir = into.tell()


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
