"""What earlier versions built is found by this one: every digest and name that an artifact is kept under, pinned.

A value here changes only on purpose: then each team builds everything again, and every cache starts empty.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from slipway.config.versions import Base, Debian, Jlink
from slipway.docker import labels
from slipway.images import base_images, build_context, class_data_sharing, image, jar, source_digest
from slipway.images import reproducible_layers as layers
from slipway.images.rootfs import RootFs

JLINK = Jlink(modules=("java.base", "java.sql"))
PACKAGES = Debian(packages=("postgresql", "!libllvm*"), files=("/usr/bin/psql", "!*.so"), owned=("/var/lib/data",))
PINNED = f"gcr.io/distroless/java21-debian12:nonroot@sha256:{'7' * 64}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    service = tmp_path / "auth"
    for name, text in {
        "project.clj": "(defproject auth)",
        "src/hh/auth/main.clj": "(ns hh.auth.main)",
        "Dockerfile": "FROM x\nCOPY target/a-standalone.jar /\n",
        "service.yaml": "name: auth",
        "test/hh/auth_test.clj": "(ns x)",
        "target/old.jar": "x",
        ".gitignore": "ignored/\n",
        "ignored/file": "x",
        "bin/run": "#!/bin/sh\n",
    }.items():
        (service / name).parent.mkdir(parents=True, exist_ok=True)
        (service / name).write_text(text)
        (service / name).chmod(0o644)
    (service / "bin/run").chmod(0o755)
    (service / "code").symlink_to("src/hh")
    return service


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def test_the_digest_of_sources(folder: Path) -> None:
    shared = folder.parent / "lib" / "src" / "lib.clj"
    shared.parent.mkdir(parents=True)
    shared.write_text("(ns lib)")
    settings, alone = ("True", "Dockerfile", "base"), source_digest.source_files(folder)
    assert source_digest.digest(folder, settings, alone) == "ef4e5e310de06cef"
    both = source_digest.source_files(folder, folder.parent / "lib")
    assert source_digest.digest(folder, settings, both) == "faf48e1d6e2d784f"


@pytest.mark.parametrize(
    ("entry", "release", "tag"),
    [
        (Base(recipe=JLINK), "12", "1f2413149d78477e"),
        (Base(upstream=PINNED, recipe=JLINK), "12", "a962a8d5181bcd4b"),
        (Base(upstream=PINNED), "13", "4943f2d5fc9968e4"),
        (Base(recipe=PACKAGES), "12", "94c4e834dfadf163"),
        (Base(recipe=PACKAGES), "13", "48fd5255556e167c"),
    ],
)
def test_the_name_of_a_base_image(entry: Base, release: str, tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    base_images.host_release.cache_clear()
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian", "VERSION_ID": release})
    assert base_images.tag("x", entry) == f"slipway/base-x:{tag}"
    base_images.host_release.cache_clear()


def test_the_key_of_class_data() -> None:
    entrypoint = ("java", "-XX:+UseSerialGC", "-XX:SharedArchiveFile=/app/a.jsa", "-cp", "/app/d.jar:/app/a.jar", "m")
    how = class_data_sharing.parse_entrypoint(entrypoint)
    assert how
    assert labels.CLASSES == "slipway.classes"
    assert class_data_sharing.archive_key(how, ("sha256:1", "sha256:2"), b"jar") == "ae5be152a74ac83d"
    assert class_data_sharing.archive_key(how, (), b"jar") == "ae9a5f3b405ff906"


def test_the_label_and_the_tags_of_an_image() -> None:
    assert labels.SOURCE == "slipway.source"
    assert labels.source_tag("hh", "auth", "0" * 16) == f"hh/auth:src-{'0' * 16}"
    assert image.version_tag("hh", "auth", "1.2.0") == "hh/auth:1.2.0"


def test_the_bytes_of_a_build_context_and_of_a_root_file_system(folder: Path) -> None:
    (folder / "target" / f"a-standalone.{'1' * 16}.jar").write_bytes(b"jar")
    built = folder / "target" / f"a-standalone.{'1' * 16}.jar"
    context = build_context.build_context(folder, "Dockerfile", "1" * 16, built, source_digest.source_files(folder))
    assert sha(context) == "e31cf33a8ac3217b"
    tree = RootFs({"/usr/bin/run": folder / "bin" / "run"}, {"/bin": "usr/bin"}, ("/var/lib/data",))
    assert sha(tree.tar()) == "ac19870a026aa1e8"
    assert sha(layers.without_timestamps(tree.tar())) == "ac19870a026aa1e8"


def test_the_entries_of_a_jar_in_two(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.jar", "w") as out:
        for name, text in {
            "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\nMain-Class: hh.auth.main\r\n",
            "META-INF/maven/hh/auth/pom.properties": "revision=1",
            "hh/auth/main__init.class": "2",
            "hh/auth/main$fn__1.class": "3",
            "clojure/core.clj": "c",
            "clojure/core__init.class": "d",
        }.items():
            out.writestr(name, text)
    parts = jar.split_jar(tmp_path / "a.jar", source_digest.source_files(folder))
    listings = [
        [(e.filename, e.date_time, e.external_attr, e.compress_type, e.CRC) for e in archive.infolist()]
        for archive in (zipfile.ZipFile(io.BytesIO(part)) for part in parts)
    ]
    assert [sha(repr(listing).encode()) for listing in listings] == ["4de68a3561dd991c", "b98030db1cac8c78"]
