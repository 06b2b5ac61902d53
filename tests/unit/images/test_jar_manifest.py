"""What a jar's manifest says, read and written as Java does."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from slipway.images import jar, jar_manifest

# What java.util.jar.Manifest reads of a file, one JSON text a line: the section, the key, the value.
READER = """
import java.io.FileInputStream;
import java.util.jar.Attributes;
import java.util.jar.Manifest;

class Read {
    static String quoted(Object text) {
        StringBuilder out = new StringBuilder("\\"");
        for (char c : text.toString().toCharArray()) out.append(String.format("\\\\u%04x", (int) c));
        return out.append('"').toString();
    }

    static void print(String section, Attributes attributes) {
        attributes.forEach((key, value) -> System.out.println(
            "[" + quoted(section) + "," + quoted(key) + "," + quoted(value) + "]"));
    }

    public static void main(String[] files) throws Exception {
        for (String file : files) {
            Manifest manifest = new Manifest(new FileInputStream(file));
            print("", manifest.getMainAttributes());
            manifest.getEntries().forEach(Read::print);
            System.out.println("[]");
        }
    }
}
"""

LONG = " ".join(f"java.base/java.módulo{i}" for i in range(20))
CASES = (
    b"",
    b"Manifest-Version: 1.0\n",
    b"Manifest-Version: 1.0\nMain-Class: a.b\nmulti-release: true\nBuilt-By: ann\n",
    b"Manifest-Version: 1.0\rMain-Class: a.b\r C\r\rName: a/b.class\rSealed: true\r\rName: x/\rImplementation-Title: \r",
    b"Manifest-Version: 1.0\r\nAdd-Opens: a\r\n  b\r\n c\r\n\r\n\r\nName: a/\r\nX: 1\r\n\r\nName: a/\r\nY: 2\r\n",
    "Manifest-Version: 1.0\nTitle: grün\n".encode(),
)


def read_by_java(folder: Path, *contents: bytes) -> list[jar_manifest.Manifest]:
    """What Java reads of manifests."""
    (folder / "Read.java").write_text(READER)
    for index, content in enumerate(contents):
        (folder / f"{index}.mf").write_bytes(content)
    files = [f"{index}.mf" for index in range(len(contents))]
    said = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "Read.java", *files], cwd=folder, check=True, capture_output=True, text=True
    )
    found, main, entries = [], dict[str, str](), dict[str, dict[str, str]]()
    for line in map(json.loads, said.stdout.splitlines()):
        if not line:
            found.append(jar_manifest.Manifest(main, entries))
            main, entries = {}, {}
        else:
            (entries.setdefault(line[0], {}) if line[0] else main)[line[1]] = line[2]
    return found


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK")
def test_a_manifest_is_read_and_written_as_java_does(tmp_path: Path) -> None:
    long = jar_manifest.Manifest({"Main-Class": "a.b", "Add-Exports": LONG}, {"ü/": {"Sealed": "true", "X": "x" * 71}})
    written = [jar_manifest.write(long), *(jar_manifest.write(jar_manifest.parse(case)) for case in CASES)]
    java = read_by_java(tmp_path, *CASES, *written)
    assert java[: len(CASES)] == [jar_manifest.parse(case) for case in CASES]
    again = [jar_manifest.parse(content) for content in written]
    assert java[len(CASES) :] == again
    assert (again[0].get("add-exports"), again[0].entries) == (LONG, long.entries)


UBERJAR = """Manifest-Version: 1.0
Created-By: Leiningen 2.10.0
Built-By: ann
Build-Jdk: 17.0.15
Leiningen-Project-Version: 1.2
Implementation-Version: 1.2
Main-Class: hh.main
Class-Path: conf/
Multi-Release: true
Launcher-Agent-Class: hh.agent
Add-Opens: java.base/java.nio
Enable-Native-Access: ALL-UNNAMED

Name: hh/main.class
Sealed: true

Name: lib/other.class
Sealed: false

Name: lib/
Implementation-Title: lib
"""


def parts(folder: Path, manifest: str, *names: str) -> list[jar_manifest.Manifest | None]:
    """The manifests of the dependencies and of the service's own part of a jar with these entries."""
    with zipfile.ZipFile(folder / "whole.jar", "w") as out:
        for name, text in {"META-INF/MANIFEST.MF": manifest, **dict.fromkeys(names, "x")}.items():
            out.writestr(name, text)
    archives = (
        zipfile.ZipFile(io.BytesIO(part)) for part in jar.split_jar(folder / "whole.jar", [Path("src/hh/main.clj")])
    )
    return [
        jar_manifest.parse(archive.read(jar_manifest.NAME)) if jar_manifest.NAME in archive.namelist() else None
        for archive in archives
    ]


def test_the_services_own_part_keeps_what_the_manifest_says_and_finds_the_dependencies_first(tmp_path: Path) -> None:
    _, app = parts(tmp_path, UBERJAR, "hh/main.class", "lib/other.class")
    assert app == jar_manifest.Manifest(
        {
            "Manifest-Version": "1.0",
            "Main-Class": "hh.main",
            "Class-Path": "deps.jar conf/",
            "Add-Opens": "java.base/java.nio",
            "Enable-Native-Access": "ALL-UNNAMED",
            "Implementation-Version": "1.2",
            "Launcher-Agent-Class": "hh.agent",
            "Leiningen-Project-Version": "1.2",
            "Multi-Release": "true",
        },
        {"hh/main.class": {"Sealed": "true"}, "lib/": {"Implementation-Title": "lib"}},
    )


@pytest.mark.parametrize(
    ("entry", "manifest", "expected"),
    [
        ("META-INF/versions/11/lib/other.class", "multi-release: true\n", {"Multi-Release": "true"}),
        ("META-INF/versions/11/lib/other.class", "", None),
        ("META-INF/versions/11/hh/main$f.class", "Multi-Release: true\n", None),
        ("lib/other.class", "Multi-Release: true\n", None),
    ],
)
def test_dependencies_with_classes_for_several_releases_of_java_stay_so(
    tmp_path: Path, entry: str, manifest: str, expected: dict[str, str] | None
) -> None:
    deps, _ = parts(tmp_path, f"Manifest-Version: 1.0\n{manifest}", "hh/main.class", entry)
    assert (deps.main if deps else None) == (expected and {"Manifest-Version": "1.0", **expected})


def test_what_the_manifest_says_of_the_build_is_in_no_layer(tmp_path: Path) -> None:
    first = parts(tmp_path, UBERJAR, "hh/main.class")
    assert first == parts(tmp_path, UBERJAR.replace("ann", "bob").replace("17.0.15", "21.0.1"), "hh/main.class")
