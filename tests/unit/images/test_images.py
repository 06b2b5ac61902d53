"""Building, decided without building: digests, names, commands, a jar in two."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.config.versions import Base, Debian, Jlink
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import CLASSES
from slipway.docker.state import Image, ImageConfig
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.once import Once
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import ConnectionLost, Problem
from slipway.hosts import apt
from slipway.hosts.facts import Facts, libraries
from slipway.hosts.fake import FakeHost
from slipway.hosts.local import LocalHost
from slipway.images import base_images as base
from slipway.images import base_recipes, image, jar, leiningen
from slipway.images import class_data_sharing as classes
from slipway.images import debian_packages as debian
from slipway.images import reproducible_layers as layers
from slipway.images import source_digest as source
from slipway.images.build_context import SPLIT_JAR, build_context, context_files
from slipway.images.dockerfile import uses_base_argument
from slipway.images.reproducible_layers import zstd
from slipway.images.rootfs import UID, RootFs
from slipway.images.sources import find_jar


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    service = tmp_path / "auth"
    for name, text in {
        "project.clj": "(defproject auth)",
        "src/hh/auth/main.clj": "(ns hh.auth.main)",
        "resources/a.txt": "a",
        "Dockerfile": "FROM x\nCOPY target/slipway/deps.jar d\n",
        "service.yaml": "name: auth",
        "test/hh/auth_test.clj": "(ns x)",
        "target/old.jar": "x",
        ".gitignore": "ignored/\n",
        "ignored/file": "x",
    }.items():
        (service / name).parent.mkdir(parents=True, exist_ok=True)
        (service / name).write_text(text)
    return service


def digest(folder: Path, settings: list[str], *shared: Path) -> str:
    """The digest of all sources, with those that are shared."""
    return source.digest(folder, settings, source.source_files(folder, *shared))


def test_a_digest_follows_content_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    before = digest(folder, ["x"])
    for name in ("service.yaml", "test/hh/auth_test.clj", "target/old.jar", "ignored/file"):
        (folder / name).write_text("changed")
    os.utime(folder / "project.clj", (1, 1))
    elsewhere = tmp_path / "other place" / "auth"
    elsewhere.parent.mkdir()
    folder.rename(elsewhere)
    assert digest(elsewhere, ["x"]) == before
    assert digest(elsewhere, ["y"]) != before
    (elsewhere / "src/hh/auth/main.clj").write_text("(ns hh.auth.main )")
    assert digest(elsewhere, ["x"]) != before


@pytest.mark.parametrize("name", ["project.clj", "Dockerfile", "resources/a.txt"])
def test_what_a_build_sees_changes_the_digest(folder: Path, name: str) -> None:
    before = digest(folder, [])
    (folder / name).write_text("changed")
    assert digest(folder, []) != before


def members(folder: Path) -> dict[str, tarfile.TarInfo]:
    """What a build of the folder is given."""
    with tarfile.open(
        fileobj=io.BytesIO(build_context(folder, "Dockerfile", "0" * 16, None, context_files(folder, "Dockerfile")))
    ) as content:
        return {member.name: member for member in content}


@pytest.mark.parametrize("name", ["src/.#main.clj", "#main.clj#"])
def test_lock_files_of_an_editor_change_nothing(folder: Path, name: str) -> None:
    before = digest(folder, [])
    (folder / name).symlink_to("ann@box.1234:1700000000")
    assert digest(folder, []) == before
    assert name not in members(folder)


def test_a_symlink_to_a_file_is_that_file_wherever_it_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.edn").write_text("1")
    (folder / "resources/linked.edn").symlink_to(tmp_path / "outside.edn")
    before = digest(folder, [])
    assert members(folder)["resources/linked.edn"].isreg()
    (tmp_path / "outside.edn").write_text("2")
    assert digest(folder, []) != before


def test_a_symlink_that_points_nowhere_or_to_a_folder_of_the_service_stays_a_symlink(folder: Path) -> None:
    before = digest(folder, [])
    for name, target in (("gone", "nowhere"), ("loop", "loop"), ("resources/code", "../src/hh")):
        (folder / name).symlink_to(target)
        after = digest(folder, [])
        assert after != before
        before = after
        assert (members(folder)[name].issym(), members(folder)[name].linkname) == (True, target)
    assert "resources/code/auth/main.clj" not in members(folder)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_symlink_to_a_folder_outside_counts_as_the_files_in_there(
    folder: Path, tmp_path: Path, *, absolute: bool
) -> None:
    code = tmp_path / "libs/util/src/util.clj"
    code.parent.mkdir(parents=True)
    code.write_text("(ns util)")
    (folder / "checkouts").mkdir()
    before = digest(folder, [])
    (folder / "checkouts/util").symlink_to(tmp_path / "libs/util" if absolute else "../../libs/util")
    linked = digest(folder, [])
    assert linked != before
    code.write_text("(ns util )")
    assert digest(folder, []) not in {before, linked}
    assert not [name for name in members(folder) if name.startswith("checkouts")]
    code.write_text("(ns util)")
    moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    if not absolute:
        assert digest(moved / "auth", []) == linked
    moved.rename(tmp_path)


def test_folders_that_link_to_each_other_are_read_once(folder: Path, tmp_path: Path) -> None:
    util = tmp_path / "util"
    (util / "checkouts").mkdir(parents=True)
    (util / "util.clj").write_text("(ns util)")
    (util / "checkouts/auth").symlink_to("../../auth")
    (folder / "checkouts").mkdir()
    (folder / "checkouts/util").symlink_to("../../util")
    found = {path.relative_to(folder).as_posix() for path in source.source_files(folder)}
    assert {name for name in found if name.startswith("checkouts")} == {"checkouts/util/util.clj"}


def test_a_symlink_to_a_folder_that_it_is_in_is_refused(folder: Path) -> None:
    (folder / "src/all").symlink_to("../..")
    with pytest.raises(Problem, match="points to a folder that it is in itself") as caught:
        digest(folder, [])
    assert "sources" in caught.value.hint
    (folder / ".gitignore").write_text("src/all\n")
    digest(folder, [])


def test_a_socket_or_a_pipe_is_no_source(folder: Path) -> None:
    before = digest(folder, [])
    os.mkfifo(folder / "pipe")
    assert digest(folder, []) == before
    assert "pipe" not in members(folder)


@pytest.fixture
def shared(folder: Path) -> Path:
    """A folder next to the service, with code that is compiled into it."""
    code = folder.parent / "lib" / "src" / "hh" / "lib.clj"
    code.parent.mkdir(parents=True)
    code.write_text("(ns hh.lib)")
    return folder.parent / "lib"


def test_a_shared_source_and_its_path_from_the_service_are_in_the_digest(folder: Path, shared: Path) -> None:
    alone, before = digest(folder, []), digest(folder, [], shared)
    assert alone != before
    elsewhere = shared.rename(shared.with_name("library"))
    assert digest(folder, [], elsewhere) != before
    (elsewhere / "src/hh/lib.clj").write_text("(ns hh.lib )")
    assert digest(folder, [], elsewhere.rename(shared)) != before


def test_shared_code_is_the_services_own_and_does_not_travel_as_source(folder: Path, shared: Path) -> None:
    jar_of_both = archive(folder / "target" / "a.jar", ENTRIES | {"hh/lib__init.class": "4", "hh/lib$f.class": "5"})
    parts = {}
    context = build_context(folder, "Dockerfile", "0" * 16, jar_of_both, source.source_files(folder, shared))
    with tarfile.open(fileobj=io.BytesIO(context)) as content:
        assert not [name for name in content.getnames() if "lib" in name]
        for name in ("deps", "app"):
            member = content.extractfile(f"{SPLIT_JAR}{name}.jar")
            assert member
            parts[name] = set(zipfile.ZipFile(io.BytesIO(member.read())).namelist())
    assert {"hh/lib__init.class", "hh/lib$f.class"} <= parts["app"]
    assert not parts["deps"] & parts["app"]


def test_the_command_names_the_jdk_and_the_profile() -> None:
    command = leiningen.uberjar_command(Path("/s"), leiningen.Leiningen("/jdk", "debian"))
    assert command.argv == ("lein", "with-profile", "+debian", "uberjar")
    assert command.env
    assert command.env["JAVA_CMD"] == "/jdk/bin/java"
    assert leiningen.uberjar_command(Path("/s"), leiningen.Leiningen("/jdk")).argv == ("lein", "uberjar")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEIN_JVM_OPTS", "-Xmx1g"),
        ("JAVA_TOOL_OPTIONS", "-XX:+UseParallelGC"),
        ("JDK_JAVA_OPTIONS", "@options"),
        ("_JAVA_OPTIONS", "-XX:+UseG1GC"),
    ],
)
def test_leiningen_has_a_collector_of_its_own_where_nobody_else_has_chosen(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options() -> str | None:
        return (leiningen.uberjar_command(tmp_path, leiningen.Leiningen("/jdk")).env or {}).get("LEIN_JVM_OPTS")

    for name in leiningen.JVM_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEIN_HOME", str(tmp_path))
    assert options() == leiningen.LEIN_JVM_OPTS
    monkeypatch.setenv(variable, value)
    assert options() is None
    monkeypatch.delenv(variable)
    (tmp_path / "leinrc").write_text('LEIN_JVM_OPTS="$LEIN_JVM_OPTS -XX:+UseParallelGC"')
    assert options() is None


@pytest.mark.parametrize(
    ("output", "summary"),
    [
        (
            (
                "Compiling a\nSyntax error compiling at (hh/auth/main.clj:12:3).\n"
                "Syntax error compiling at (hh/auth/main.clj:12:3).\nUnable to resolve symbol: foo\n"
            ),
            "auth: hh/auth/main.clj:12: Unable to resolve symbol: foo",
        ),
        (
            "Syntax error reading source at (hh/auth/main.clj:9:1).\nEOF while reading\n",
            "auth: hh/auth/main.clj:9: EOF while reading",
        ),
        (
            "Could not transfer artifact ring:ring:pom:1 from/to clojars: nope",
            "auth: dependencies could not be downloaded",
        ),
        (
            (
                "Could not transfer artifact ring:ring:pom:1 from/to clojars: PKIX path building failed: "
                "unable to find valid certification path to requested target"
            ),
            "the certificate of a repository is not trusted",
        ),
        ("boom", "auth: lein uberjar failed"),
    ],
)
def test_a_failed_build_is_explained_in_clojures_words(output: str, summary: str) -> None:
    problem = leiningen.build_failure(Path("/s/auth"), output)
    assert problem.summary == summary
    assert problem.hint


def archive(path: Path, entries: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, text in entries.items():
            out.writestr(name, text)
    return path


MANIFEST = "Manifest-Version: 1.0\r\nMain-Class: hh.auth.ma\r\n in\r\n"
ENTRIES = {
    "META-INF/MANIFEST.MF": MANIFEST,
    "META-INF/maven/hh/auth/pom.properties": "revision=1",
    "META-INF/services/x": "y",
    "hh/auth/main.class": "1",
    "hh/auth/main__init.class": "2",
    "hh/auth/main$fn__1.class": "3",
    "a.txt": "a",
    "clojure/core.clj": "c",
    "clojure/core__init.class": "d",
}


def test_a_jar_in_two_keeps_every_entry_once_and_the_services_own_apart(folder: Path, tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.jar", ENTRIES)
    deps, app = (zipfile.ZipFile(io.BytesIO(part)) for part in jar.split_jar(whole, source.source_files(folder)))
    assert set(deps.namelist()) == {"META-INF/services/x", "clojure/core.clj", "clojure/core__init.class"}
    assert set(app.namelist()) == set(ENTRIES) - set(deps.namelist())
    manifest = app.read("META-INF/MANIFEST.MF").decode()
    assert "Main-Class: hh.auth.main\r\n" in manifest
    assert "Class-Path: deps.jar" in manifest
    newer = deps.getinfo("clojure/core__init.class").date_time > deps.getinfo("clojure/core.clj").date_time
    assert newer, "Clojure compiles at start when a class is not newer than its source"


def test_a_change_of_code_leaves_the_dependencies_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one = jar.split_jar(archive(tmp_path / "a.jar", ENTRIES), source.source_files(folder))
    two = jar.split_jar(
        archive(tmp_path / "b.jar", ENTRIES | {"hh/auth/main.class": "changed"}), source.source_files(folder)
    )
    assert one[0] == two[0]
    assert one[1] != two[1]


class Stream(io.BytesIO):
    """What can't be sought in, as what Java's JarOutputStream writes to: sizes come behind an entry's bytes."""

    def seekable(self) -> bool:
        return False


def test_what_is_compressed_in_a_jar_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    stream, texts = Stream(), {name: f"{text * 999} größer" for name, text in ENTRIES.items() if "MANIFEST" not in name}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        for at, (name, text) in enumerate({"META-INF/MANIFEST.MF": MANIFEST, **texts}.items()):
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, at))
            entry.compress_type = zipfile.ZIP_STORED if name == "a.txt" else zipfile.ZIP_DEFLATED
            entry.extra = b"\xfe\xca\x00\x00"  # as Java marks a jar
            out.writestr(entry, text)
    whole = tmp_path / "a.jar"
    whole.write_bytes(stream.getvalue())
    parts = [zipfile.ZipFile(io.BytesIO(part)) for part in jar.split_jar(whole, source.source_files(folder))]
    assert [part.testzip() for part in parts] == [None, None]
    assert {name: part.read(name).decode() for part in parts for name in part.namelist() if name in texts} == texts
    with zipfile.ZipFile(whole) as made:
        for info in (info for part in parts for info in part.infolist() if info.filename in texts.keys() - {"a.txt"}):
            assert info.compress_size == made.getinfo(info.filename).compress_size
            assert info.date_time[0] == 1980
            assert not info.extra


def test_a_jar_is_found_by_the_digest_in_its_name_and_older_ones_are_removed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    made = archive(tmp_path / "target" / "a-standalone.jar", ENTRIES)
    jar.name_by_digest(made, "0" * 16)
    placed = jar.name_by_digest(made, "1" * 16)
    assert find_jar(tmp_path, "1" * 16) == placed
    assert find_jar(tmp_path, "0" * 16) is None
    assert jar.original_path(placed, "1" * 16, tmp_path) == "target/a-standalone.jar"


@pytest.mark.parametrize(
    ("entries", "note"),
    [
        ({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"}, "no Main-Class"),
        ({"META-INF/MANIFEST.MF": MANIFEST}, "no class for its Main-Class, hh.auth.main"),
        ({}, "no Main-Class"),
    ],
)
def test_a_jar_without_a_main_class_may_be_started_by_clojure_main(
    tmp_path: Path, folder: Path, entries: dict[str, str], note: str
) -> None:
    whole = archive(tmp_path / "a.jar", entries | {"hh/auth/main.clj": "c"})
    events: list[Event] = []
    jar.verify(LocalHost(), whole, "/none", Reporter("auth/jar", events.append, Cancel()))
    assert [note in event.text for event in events if isinstance(event, Output)] == [True]
    _, app = (zipfile.ZipFile(io.BytesIO(part)) for part in jar.split_jar(whole, source.source_files(folder)))
    assert "hh/auth/main.clj" in app.namelist()


@pytest.mark.parametrize(("content", "summary"), [(b"PK", "not a valid jar"), (None, "is corrupt at a.txt")])
def test_a_broken_jar_is_refused(tmp_path: Path, content: bytes | None, summary: str) -> None:
    whole = archive(tmp_path / "a.jar", {"a.txt": "some text"})
    whole.write_bytes(whole.read_bytes().replace(b"some", b"none") if content is None else content)
    with pytest.raises(Problem, match=summary):
        jar.verify(LocalHost(), whole, "/none", null_reporter())


def test_a_context_has_the_split_jar_only_where_the_dockerfile_wants_it(folder: Path, tmp_path: Path) -> None:
    (folder / "target").mkdir(exist_ok=True)
    whole = archive(folder / "target" / f"a-standalone.{'1' * 16}.jar", ENTRIES)

    def names() -> set[str]:
        return set(
            tarfile.open(
                fileobj=io.BytesIO(build_context(folder, "Dockerfile", "1" * 16, whole, source.source_files(folder)))
            ).getnames()
        )

    assert {"target/slipway/deps.jar", "target/slipway/app.jar"} <= names()
    (folder / "Dockerfile").write_text("FROM x\nCOPY target/a-standalone.jar /\n")
    assert "target/a-standalone.jar" in names()
    assert not any(name.startswith("target/slipway") for name in names())


def test_a_base_is_named_by_its_entry_alone() -> None:
    entry = Base(recipe=Jlink(modules=("java.base",)))
    assert base.tag("clojure", entry) == base.tag("clojure", entry.model_copy())
    assert base.tag("clojure", entry) != base.tag("clojure", Base(recipe=Jlink(modules=("java.sql",))))


def test_a_base_of_packages_is_another_on_another_release_of_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"packages": Base(recipe=RECIPE), "jlink": Base(recipe=Jlink(modules=("java.base",)))}
    found: dict[str, set[str]] = {name: set() for name in entries}
    for release in ("12", "13", "12"):
        base.host_release.cache_clear()
        told = {"ID": "debian", "VERSION_ID": release}
        monkeypatch.setattr("platform.freedesktop_os_release", lambda told=told: told)
        for name, entry in entries.items():
            found[name].add(base.tag(name, entry))
    base.host_release.cache_clear()
    assert {name: len(tags) for name, tags in found.items()} == {"packages": 2, "jlink": 1}


def test_the_files_that_ldd_names_are_read_off() -> None:
    said = "\tlinux-vdso.so.1 (0x1)\n\tlibz.so.1 => /lib/libz.so.1 (0x2)\n\t/lib64/ld.so.2 (0x3)\n\tx => not found\n"
    assert libraries(said) == ["/lib/libz.so.1", "/lib64/ld.so.2"]


RECIPE = Debian(packages=("postgresql", "postgresql-*[0-9]", "!libllvm*"), files=("/usr/bin/psql", "!*.so"))


def test_packages_are_those_picked_by_name_and_the_libraries_among_what_they_need() -> None:
    listing = "postgresql\n  Depends: postgresql-15\npostgresql-15\nlibpq5\nlibc6:i386\n<default-mta>\n  exim4\n"
    assert apt.parse_dependencies(listing) == ["libpq5", "postgresql", "postgresql-15"]
    assert debian.named_packages(RECIPE) == ["postgresql"]
    records = "\n\n".join(
        f"Package: {name}\nVersion: {version}\nSection: {section}"
        for name, version, section in [
            ("postgresql", "15+248", "database"),
            ("postgresql-15", "15.20-0", "database"),
            ("postgresql-common", "248", "database"),
            ("libpq5", "15.20-0", "libs"),
            ("libllvm14", "1:14", "libs"),
            ("perl", "5.36", "perl"),
        ]
    )
    assert debian.select_packages(RECIPE, records) == {
        "postgresql": "15+248",
        "postgresql-15": "15.20-0",
        "libpq5": "15.20-0",
    }


def test_files_of_packages_are_picked_where_a_merged_system_has_them(tmp_path: Path) -> None:
    for name in ("bin/psql", "usr/bin/other"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    assert dict(debian.selected_files(RECIPE, tmp_path)) == {"/usr/bin/psql": tmp_path / "bin/psql"}
    with pytest.raises(Problem, match="no package has /usr/bin/initdb"):
        dict(debian.selected_files(RECIPE.model_copy(update={"files": ("/usr/bin/initdb",)}), tmp_path))
    assert (
        debian.path_variable(["/usr/lib/postgresql/15/bin/psql", "/usr/bin/sh", "/etc/x"])
        == "/usr/bin:/usr/lib/postgresql/15/bin"
    )
    assert debian.path_variable(["/usr/sbin/haproxy", "/usr/bin/busybox"]) == "/usr/bin:/usr/sbin"


def test_a_root_is_the_same_bytes_whatever_the_umask_and_the_clock(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("x")
    tree = RootFs({"/usr/bin/program": program}, {"/bin": "usr/bin"}, ("/var/lib/data",))
    first = tree.tar()
    program.chmod(0o600)
    os.utime(program, (1, 1))
    assert tree.tar() == first
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        assert archive.getmember("var/lib/data").uid == UID
        assert archive.getmember("tmp").mode == 0o1777


Compress = Callable[[bytes], bytes]


def saved(folder: Path, times: int, base: Compress = bytes, top: Compress = bytes) -> Path:
    """A `docker save` archive of two layers, as of that second, stored as these functions make them."""

    def tar(members: dict[str, bytes | None]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as out:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.mtime, entry.mode = times, 0o755
                entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
                entry.size = len(content or b"")
                out.addfile(entry, io.BytesIO(content or b""))
        return buffer.getvalue()

    layer = tar({"etc": None}), tar({"app": None, "app/app.jar": b"jar"})
    config = {
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layer]},
        "history": [
            {"created_by": "base"},
            {"created_by": "USER 1", "empty_layer": True},
            {"created_by": "/bin/sh -c #(nop) COPY file:0123 in app.jar "},
        ],
    }
    manifest = [{"Config": "c.json", "Layers": ["a/layer.tar", "b/layer.tar"], "RepoTags": ["x:1"]}]
    path = folder / f"{times}.tar"
    path.write_bytes(
        tar(
            {
                "a/layer.tar": base(layer[0]),
                "b/layer.tar": top(layer[1]),
                "c.json": json.dumps(config).encode(),
                "manifest.json": json.dumps(manifest).encode(),
            }
        )
    )
    return path


def test_layers_above_the_base_are_the_same_at_any_time(tmp_path: Path) -> None:
    first = layers.read(saved(tmp_path, 5), 1).write(tmp_path / "a")
    second = layers.read(saved(tmp_path, 9), 1).write(tmp_path / "b")
    assert first[1] == second[1]
    assert first[1].created_by == "COPY app.jar"
    assert first[0].id != second[0].id, "the base's layer is somebody else's: it stays as it is"
    with tarfile.open(tmp_path / "a") as archive:
        manifest = json.loads(archive.extractfile("manifest.json").read())[0]  # type: ignore[union-attr]
        config = json.loads(archive.extractfile(manifest["Config"]).read())  # type: ignore[union-attr]
        top = archive.extractfile(manifest["Layers"][1]).read()  # type: ignore[union-attr]
    assert config["rootfs"]["diff_ids"] == [layer.id for layer in first]
    with tarfile.open(fileobj=io.BytesIO(top)) as layer:
        assert [(m.name, m.mtime, m.mode) for m in layer] == [("app", 0, 0o755), ("app/app.jar", 0, 0o755)]


def test_the_bases_layers_are_left_out_where_docker_names_an_image_by_its_configuration(tmp_path: Path) -> None:
    archive = saved(tmp_path, 5)
    with tarfile.open(archive) as given:
        config = given.extractfile("c.json").read()  # type: ignore[union-attr]
    whole = layers.read(archive, 1, "sha256:of-a-manifest")
    known = layers.read(archive, 1, f"sha256:{hashlib.sha256(config).hexdigest()}")
    assert known.base == [None]
    assert known.write(tmp_path / "known.tar") == whole.write(tmp_path / "whole.tar")
    with tarfile.open(tmp_path / "whole.tar") as one, tarfile.open(tmp_path / "known.tar") as other:
        left_out = {*one.getnames()} - {*other.getnames()}
        assert left_out == {f"{whole.base_ids[0].removeprefix('sha256:')}.tar"}


def test_class_data_become_the_uppermost_layer_of_an_image(tmp_path: Path) -> None:
    content = layers.read(saved(tmp_path, 5), 1)
    content.config["config"] = {"Labels": {"a": "b"}}
    classes.ClassData("/app/a.jsa", b"classes", "key").add_to(content)
    *_, top = content.write(tmp_path / "image.tar")
    assert top.created_by == "COPY /app/a.jsa"
    assert content.labels == {"a": "b", CLASSES: "key"}
    with tarfile.open(fileobj=io.BytesIO(content.own[-1])) as layer:
        assert [(m.name, m.mtime, m.mode, m.uid) for m in layer] == [("app/a.jsa", 0, 0o444, 0)]


@pytest.mark.parametrize(("path", "linked"), [("/app/x/a.jsa", True), ("/x/a.jsa", False)])
def test_no_class_data_hide_what_a_link_leads_to(monkeypatch: pytest.MonkeyPatch, path: str, linked: bool) -> None:
    daemon, events = FakeDaemon(), list[Event]()
    made = daemon.images.import_rootfs(b"root", "auth:1", ())
    start = ImageConfig((), ("java", f"-XX:SharedArchiveFile={path}", "-cp", "/app/d.jar", "m"))
    monkeypatch.setattr(daemon.images, "inspect", lambda _: start)
    monkeypatch.setattr(daemon.io, "is_link", lambda _, path: path == "/app")
    for name in ("IDLE", "START_TIMEOUT", "DUMP_TIMEOUT"):
        monkeypatch.setattr(classes, name, 0.01)
    report = Reporter("auth/image", events.append, Cancel())
    data = classes.class_data(daemon, classes.Start(made, (), {}, {}), (), Once(), report)
    assert data is None
    (note,) = (event.text for event in events if isinstance(event, Output) and event.stream == "note")
    assert ("/app of its image is a link" in note) is linked
    assert daemon.store.containers == {}


def test_a_dump_that_does_not_end_in_time_is_no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeDaemon()
    store, how = daemon.store, ("java", "-XX:SharedArchiveFile=/app/a.jsa", "-cp", "/app/d.jar", "m")
    monkeypatch.setattr(daemon.images, "inspect", lambda _: ImageConfig((), how))
    for name in ("IDLE", "START_TIMEOUT", "DUMP_TIMEOUT"):
        monkeypatch.setattr(classes, name, 0.01)

    def write_half(_: str) -> None:
        for one in store.containers:
            store.files[store.file_key(one, f"{classes.SCRATCH}/{classes.DUMPED}")] = b"half"

    store.hooks.append(write_half)
    made = daemon.images.import_rootfs(b"root", "auth:1", ())
    assert classes.class_data(daemon, classes.Start(made, (), {}, {}), (), Once(), null_reporter()) is None


def test_services_with_the_same_dependencies_share_class_data(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon, started = FakeDaemon(), list[str]()
    store, how = daemon.store, ("java", "-XX:SharedArchiveFile=/app/a.jsa", "-cp", "/app/d.jar", "m")
    monkeypatch.setattr(daemon.images, "inspect", lambda _: ImageConfig((), how))

    def end(operation: str) -> None:
        """Each start ends at once, and has dumped something else."""
        if operation == "containers.start":
            started.append(operation)
        for one in [one for one in store.containers.values() if one.running]:
            store.files[store.file_key(one.id, f"{classes.SCRATCH}/{classes.DUMPED}")] = f"{len(started)}".encode()
            store.change(one.id, state="exited")

    store.hooks.append(end)
    archives, images = Once[bytes](), [daemon.images.import_rootfs(name.encode(), f"{name}:1", ()) for name in "abc"]

    def made(image: str, archives: Once[bytes], *others: Image) -> bytes:
        data = classes.class_data(daemon, classes.Start(image, (), {}, {}), others, archives, null_reporter())
        assert data is not None
        return data.content

    first = made(images[0], archives)
    assert (first, made(images[1], archives), len(started)) == (b"2", b"2", 2)  # a start to list, and one to dump
    key = classes.archive_key(classes.JvmStart(how[:2], "/app/d.jar", "/app/a.jsa"), (), b"")
    gone = Image("sha256:gone", (), {CLASSES: key})
    assert made(images[2], Once(), gone) == b"4"
    assert store.containers == {}


def framed(content: bytes) -> bytes:
    """Frames of a file compressed in chunks, and one to skip."""
    return zstd.compress(content[:100]) + b"\x50\x2a\x4d\x18\x04\x00\x00\x00toc " + zstd.compress(content[100:])


@pytest.mark.parametrize("base", [bytes, gzip.compress, zstd.compress])
@pytest.mark.parametrize("top", [bytes, gzip.compress, zstd.compress, framed])
def test_layers_are_the_same_however_a_docker_stores_them(tmp_path: Path, base: Compress, top: Compress) -> None:
    plain = layers.read(saved(tmp_path, 5), 1).write(tmp_path / "a")
    stored = layers.read(saved(tmp_path, 5, base, top), 1).write(tmp_path / "b")
    assert stored == plain
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def cut(content: bytes) -> bytes:
    return zstd.compress(content)[:-9]


@pytest.mark.parametrize("store", [lzma.compress, cut, lambda content: gzip.compress(content)[:-20], reversed])
@pytest.mark.parametrize("base_layers", [0, 1, 2])
def test_a_layer_that_cannot_be_read_is_named(tmp_path: Path, store: Compress, base_layers: int) -> None:
    archive = saved(tmp_path, 5, top=lambda content: bytes(store(content)))
    with pytest.raises(Problem, match=r"layer sha256:[0-9a-f]{64} of the image can't be read"):
        layers.read(archive, base_layers)


def test_what_an_image_weighs_names_the_layers_that_the_one_before_did_not_have() -> None:
    found = (layers.Layer("a", 70_000_000, "base"), layers.Layer("b", 9_000_000, "x"), layers.Layer("c", 30_000, "y"))
    assert [line.split(maxsplit=2)[2] for line in layers.describe(found, 1, {"a", "b"})] == [
        "base",
        "x",
        "y  (new)",
        "in total, 0.03 MB of it new",
    ]


def test_an_archive_is_dumped_as_the_image_starts_its_jvm_of_the_class_paths_first_entry() -> None:
    entrypoint = ("java", "-XX:+UseSerialGC", "-XX:SharedArchiveFile=/app/a.jsa", "-cp", "/app/d.jar:/app/a.jar", "m")
    how = classes.parse_entrypoint(entrypoint)
    assert how is not None
    assert how.archive == "/app/a.jsa"
    assert how.dump_command == (
        *("java", "-Xshare:dump", "-XX:+UseSerialGC", "-XX:SharedArchiveFile=/app/a.jsa"),
        "-XX:SharedClassListFile=/slipway-class-data/dump/classes.lst",
        *("-XX:SharedArchiveFile=/slipway-class-data/dump/classes.jsa", "-cp", "/app/d.jar"),
    )
    assert classes.parse_entrypoint(("java", "-jar", "a.jar")) is None
    assert classes.archive_key(how, ("jdk",), b"jar") != classes.archive_key(how, ("jdk",), b"other")
    assert classes.archive_key(how, ("jdk",), b"jar") != classes.archive_key(how, ("other",), b"jar")


def test_classes_are_listed_that_an_archive_of_the_first_entry_can_hold() -> None:
    log = [
        '{"message":"starting"}',
        "java.lang.Object source: shared objects file",
        "clojure.core$map source: file:/app/d.jar",
        "hh.auth.main source: file:/app/app.jar",
        "java.util.List source: jrt:/java.base",
        "a.B$$Lambda$1/0x0000000800c03000 source: a.B",
        "user$eval1 source: clojure.lang.DynamicClassLoader",
        "clojure.core$map source: file:/app/d.jar",
    ]
    assert classes.archivable_classes(log, "/app/d.jar") == ["clojure/core$map", "java/lang/Object", "java/util/List"]


def test_a_docker_that_goes_away_is_no_reason_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeDaemon()
    made = daemon.images.import_rootfs(b"root", "auth:1", ())
    start = ImageConfig((), ("java", "-XX:SharedArchiveFile=/app/a.jsa", "-cp", "/app/d.jar", "m"))
    monkeypatch.setattr(daemon.images, "inspect", lambda _: start)

    def go_away(_: str) -> None:
        raise ConnectionLost("Docker does not answer")

    daemon.store.hooks.append(go_away)
    entry = Base(upstream=f"debian@sha256:{'0' * 64}", recipe=Debian(packages=("x",), files=("/x",)))
    facts = Facts("Linux", "x86_64")
    with pytest.raises(ConnectionLost):
        base_recipes.provide(FakeHost("here", facts), daemon, facts, None, "db", entry, null_reporter())
    with pytest.raises(ConnectionLost):
        classes.class_data(daemon, classes.Start(made, (), {}, {}), (), Once(), null_reporter())


@pytest.mark.parametrize(
    ("dockerfile", "used"),
    [
        ("ARG BASE\nFROM $BASE\n", True),
        ("  arg\tV=1 BASE=x\nFROM $BASE\n", True),
        ("\ufeffARG BASE\r\nFROM ${BASE}\r\n", True),
        ("# syntax=docker/dockerfile:1\n\n# l\udcf6sche\nARG \\\n  # which\n\n  BASE=debian\nFROM $BASE\n", True),
        ("# escape=`\nARG V=1 `\nBASE\nFROM --platform=$P ${BASE:-x} AS Runtime\n", True),
        ('ARG V="a b" "BASE=x"\nFROM $BASE\n', True),
        ("ARG V=1\\\\\nARG BASE\nFROM $BASE\n", True),
        ("ARG BASEMENT\nFROM x\n", False),
        ("# ARG BASE\nFROM x\n", False),
        ("FROM x\nARG BASE\nRUN echo $BASE\n", False),
        ("FROM x\nRUN <<EOF\nARG BASE\nFROM $BASE\nEOF\n", False),
        ('ARG V="ARG BASE" W=BASE\nFROM x\n', False),
        ("ARG V='\nFROM x\n", False),
        ("FROM \\\n x\nARG BASE\n", False),
        ("", False),
    ],
)
def test_a_dockerfile_uses_a_base_of_the_project_by_an_argument(tmp_path: Path, dockerfile: str, *, used: bool) -> None:
    (tmp_path / "Dockerfile").write_bytes(os.fsencode(dockerfile))
    assert uses_base_argument(tmp_path / "Dockerfile") is used


def test_a_commit_is_named_and_nothing_is_where_there_is_no_git(tmp_path: Path) -> None:
    git = ("git", "-C", str(tmp_path), "-c", "user.name=ann", "-c", "user.email=ann@example.org")
    assert source.commit(LocalHost(), tmp_path) == ""
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "one")):
        subprocess.run([*git, *words], check=True)
    clean = source.commit(LocalHost(), tmp_path)
    assert clean == subprocess.check_output([*git, "rev-parse", "HEAD"], text=True)[:12]
    (tmp_path / "new").touch()
    assert source.commit(LocalHost(), tmp_path) == f"{clean}-dirty"
    assert source.commit(FakeHost("box", Facts("Linux", "x86_64")), tmp_path) == ""


def test_a_build_is_complete_even_if_the_image_that_it_went_through_can_not_be_removed() -> None:
    daemon, events, removed = FakeDaemon(), list[Event](), list[str]()
    refusals: list[Problem] = [Problem("image one could not be removed", details="it has dependent child images")]

    def fail(operation: str) -> None:
        removed.append(operation)
        if refusals:
            raise refusals.pop()

    daemon.store.hooks.append(fail)
    report = Reporter("web/image", events.append, Cancel())
    image.remove_step(daemon, "one", report)
    assert removed == ["images.untag"]
    assert [event.text for event in events if isinstance(event, Output)] == [
        "image one could not be removed; `docker image prune` removes it: it has dependent child images"
    ]
    refusals.append(ConnectionLost("Docker does not answer"))
    with pytest.raises(ConnectionLost):
        image.remove_step(daemon, "one", report)
