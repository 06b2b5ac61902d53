"""Leiningen: how it is run, what it says of a project, and whose jar its build makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.config.models import Environment, Service
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Problem
from slipway.flows.services import AnyService
from slipway.hosts.local import LocalHost
from slipway.images import leiningen, leiningen_project
from slipway.images.sources import Sources
from tests.unit.flows.workspaces import project, workspace

JDK = leiningen.Leiningen("/jdk")
LEIN = """#!/bin/sh
log=$(dirname "$0")/log
echo "resolves" >>"$log"; echo Retrieving x; sleep 0.3; echo "resolved" >>"$log"
echo Compiling shop.core; sleep 1
echo "compiled" >>"$log"
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make a program the `lein` of this test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (folder / "lein").write_text(text)
    (folder / "lein").chmod(0o755)


def reader(folder: Path) -> Callable[[], Sources]:
    """Sources that never change."""
    return lambda: Sources("0" * 16, None, folder)


@pytest.mark.parametrize(("given", "shown"), [("", []), ("-Dours=1", ["-Dours=1"])])
def test_a_jvms_note_that_it_has_our_own_options_is_no_output_but_the_users_are(
    given: str, shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        tmp_path, monkeypatch, LEIN.replace("sleep 1", 'echo "NOTE: Picked up JDK_JAVA_OPTIONS: $JDK_JAVA_OPTIONS" >&2')
    )
    monkeypatch.setenv("JDK_JAVA_OPTIONS", given)
    events: list[Event] = []
    with pytest.raises(Problem, match="created no jar"):
        leiningen.build(LocalHost(), tmp_path, JDK, Reporter("a/jar", events.append, Cancel()), reader(tmp_path))
    lines = [event.text for event in events if isinstance(event, Output)]
    notes = [line for line in lines if line.startswith("NOTE")]
    assert notes == [f"NOTE: Picked up JDK_JAVA_OPTIONS: {one} {leiningen.OPTIONS}" for one in shown]
    assert "Compiling shop.core" in lines


def test_two_leiningens_resolve_dependencies_one_after_the_other_and_compile_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, LEIN)

    def build(name: str) -> None:
        (tmp_path / name).mkdir()
        with pytest.raises(Problem, match="created no jar"):
            leiningen.build(LocalHost(), tmp_path / name, JDK, null_reporter(), reader(tmp_path / name))

    threads = [threading.Thread(target=build, args=(name,)) for name in ("auth", "order")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    lines = (tmp_path / "log").read_text().split()
    assert lines == ["resolves", "resolved", "resolves", "resolved", "compiled", "compiled"]


# A Leiningen whose project.clj is JSON: the jar, and which paths are `input` and `generated`; what else it does meanwhile.
FAKE = """#!/usr/bin/env python3
import json, os, pathlib, sys, zipfile
if "LEIN_FAST_TRAMPOLINE" in os.environ or "CLASSPATH" in os.environ:
    sys.exit("something else was started")
if os.environ.get("LEIN_JVM_OPTS") != "-Xmx1g" or "LEIN_OFFLINE" not in os.environ:
    sys.exit("it needs a proxy")
project = json.loads(pathlib.Path("project.clj").read_text())
if "jar" in project and "silent" not in project:
    lines = [("jar", project["jar"])]
    lines += [(kind, path) for kind in ("input", "generated") for path in project.get(kind, [])]
    answer = json.loads(sys.argv[sys.argv.index(":") + 2])
    text = "".join(f"{kind} {json.dumps(str(pathlib.Path(path).resolve()))}\\n" for kind, path in lines)
    pathlib.Path(answer).write_text(text)
print("Compiling a", flush=True)
for path in project.get("edits", []):
    pathlib.Path(path).write_text("edited")
made = pathlib.Path(project.get("made", project.get("jar", "target/a.jar")))
made.parent.mkdir(parents=True, exist_ok=True)
with zipfile.ZipFile(made, "w") as out:
    out.writestr("a.clj", "(ns a)")
if "error" in project:
    sys.exit(project["error"])
"""


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, AnyService]]:
    """Builds the service `shop` of a new clone, whose project.clj says this; other files are beside it."""
    install(tmp_path, monkeypatch, FAKE)
    for name, value in {"LEIN_JVM_OPTS": "-Xmx1g", "LEIN_OFFLINE": "true", "LEIN_SILENT": "true"}.items():
        monkeypatch.setenv(name, value)

    def build(clone: str = "clone", sources: tuple[str, ...] = (), **said: object) -> tuple[Path, AnyService]:
        service = shop(tmp_path / clone, sources, **said)
        return leiningen.build(LocalHost(), service.settings.folder, JDK, null_reporter(), service.read), service

    return build


def shop(root: Path, sources: tuple[str, ...] = (), **said: object) -> AnyService:
    """A service whose project.clj says this, with a parent and a library above it."""
    config = project(
        root / "services", [Service(name="shop", build="lein", sources=sources)], Environment(name="local")
    )
    folder = root / "services" / "shop"
    for path, text in {
        folder / "project.clj": json.dumps(said),
        root / "parent.clj": "1",
        root / "lib/src/l.clj": "1",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return workspace(config).services["shop"]


def elsewhere(sources: Sources) -> set[str]:
    """The files of a clone that are sources of its service, and not in its folder."""
    root = sources.folder.parents[1]
    found = (path.relative_to(root).as_posix() for path in sources.files)
    return {path for path in found if not path.startswith("services/")}


def test_variables_of_the_shell_that_are_about_other_runs_of_leiningen_change_nothing(
    built: Callable[..., tuple[Path, AnyService]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LEIN_FAST_TRAMPOLINE": "y", "CLASSPATH": "/x", "LEIN_NO_DEV": "1"}.items():
        monkeypatch.setenv(name, value)
    jar, service = built(jar="target/a-standalone.jar", generated=["target"])
    assert jar.name == f"a-standalone.{service.read().digest}.jar"


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"jar": "target/a.jar", "generated": ["target"]}, "target"),
        ({"jar": "out/uberjar/a.jar", "generated": ["out", "out/uberjar"]}, "out/uberjar"),
        ({"jar": "../../build/shop/a.jar", "generated": ["../../build/shop"]}, "../../build/shop"),
        ({"jar": "target/a.jar", "made": "target/prod/a.jar", "generated": ["target"]}, "target/prod"),  # by an alias
        ({"jar": "target/a.jar", "silent": True}, "target"),
    ],
)
def test_the_jar_is_where_leiningen_says_and_is_found_there_again(
    built: Callable[..., tuple[Path, AnyService]], said: dict[str, object], place: str
) -> None:
    jar, service = built(**said)
    folder = service.settings.folder
    assert jar.parent == (folder / place).resolve() or jar.parent == folder / place
    found = service.read()
    assert found.jar
    assert found.jar.samefile(jar)
    assert leiningen.build(LocalHost(), folder, JDK, null_reporter(), service.read) == found.jar


def test_what_leiningen_reads_elsewhere_is_in_the_digest_in_every_clone(
    built: Callable[..., tuple[Path, AnyService]], tmp_path: Path
) -> None:
    said: dict[str, Any] = {
        "jar": "out/a.jar",
        "input": ["src", "../../parent.clj", "../../lib/src"],
        "generated": ["out"],
    }
    for clone in ("clone", "fresh"):
        (tmp_path / clone / "services/shop").mkdir(parents=True)
        (tmp_path / clone / "services/shop/dangling").symlink_to("nowhere")
    _, service = built(**said)
    first = service.read()
    assert elsewhere(first) == {"lib/src/l.clj", "parent.clj"}
    fresh = shop(tmp_path / "fresh", **said).read()
    assert (fresh.jar, fresh.digest != first.digest) == (None, True), "nothing that was ever built has this digest"
    assert built("fresh", **said)[1].read().digest == first.digest
    for name in ("parent.clj", "lib/src/l.clj"):
        before = service.read().digest
        (tmp_path / "clone" / name).write_text("2")
        assert service.read().digest != before


def test_what_service_yaml_declares_needs_no_answer_and_may_be_a_file(
    built: Callable[..., tuple[Path, AnyService]], tmp_path: Path
) -> None:
    declared = ("../../parent.clj", "../../lib")
    said = {"jar": "target/a.jar", "input": ["../../lib/src", "../../parent.clj"], "generated": ["target"]}
    before = shop(tmp_path / "clone", declared, **said).read()
    jar, service = built(sources=declared, **said)
    assert jar.name == f"a.{before.digest}.jar"
    (tmp_path / "clone/parent.clj").write_text("2")
    assert service.read().digest != before.digest


def test_an_answer_is_good_for_the_project_clj_that_it_is_about(
    built: Callable[..., tuple[Path, AnyService]], tmp_path: Path
) -> None:
    _, service = built(jar="out/a.jar", input=["../../lib/src"], generated=["out"])
    folder = service.settings.folder
    assert leiningen_project.recorded(folder)
    (folder / "project.clj").write_text("{}")
    assert leiningen_project.recorded(folder) is None
    for damaged in ("", "{", "[]", '{"files": 1}', "null"):
        (folder / leiningen_project.RECORD).write_text(damaged)
        assert leiningen_project.recorded(folder) is None
    assert elsewhere(service.read()) == set()


@pytest.mark.parametrize("edited", ["src.clj", "../../lib/src/l.clj"])
@pytest.mark.parametrize("error", [None, "Syntax error"])
@pytest.mark.parametrize("known", [True, False])
def test_an_edit_while_it_is_built_is_told_and_makes_no_jar(
    built: Callable[..., tuple[Path, AnyService]], edited: str, error: str | None, known: bool
) -> None:
    said: dict[str, object] = {"jar": "out/a.jar", "input": ["../../lib/src"], "generated": ["out"]}
    said |= {"edits": [edited]} | ({"error": error} if error else {})
    if known:
        with pytest.raises(Problem):
            built(**said)  # which says what it reads
        time.sleep(0.01)
        said["edits"] = [edited, "src2.clj"]
    with pytest.raises(Problem, match="shop: its sources changed while it was built"):
        built(**said)


def test_a_failed_first_build_is_told_by_its_error_wherever_it_writes(
    built: Callable[..., tuple[Path, AnyService]],
) -> None:
    with pytest.raises(Problem, match=r"shop: a.clj:1: Unable to resolve symbol"):
        built(
            jar="out/a.jar",
            generated=["out"],
            error="Syntax error compiling at (a.clj:1:1).\nUnable to resolve symbol: x",
        )


@pytest.mark.parametrize("ignored", ["", "/checkouts\n"])
def test_projects_in_checkouts_are_sources_even_if_git_ignores_them(tmp_path: Path, ignored: str) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    service = shop(tmp_path, jar="target/a.jar")
    (service.settings.folder / ".gitignore").write_text(ignored)
    before = service.read().digest
    checkouts = service.settings.folder / "checkouts"
    checkouts.mkdir()
    (tmp_path / "lib/project.clj").write_text("{}")
    (checkouts / "lib").symlink_to("../../../lib")
    with_it = service.read()
    assert with_it.digest != before
    (tmp_path / "lib/src/l.clj").write_text("2")
    assert service.read().digest != with_it.digest
    (tmp_path / "lib/test").mkdir()
    (tmp_path / "lib/test/l_test.clj").write_text("1")
    assert {path.name for path in service.read().files} >= {"l.clj", "Dockerfile"}
    assert "l_test.clj" not in {path.name for path in service.read().files}


@pytest.mark.parametrize(
    "text", ["", 'input "src"\n', 'jar "/x/a.jar"\ninput "/x', "jar\n", "jar 1\n", "what 1\n", "\xff"]
)
def test_an_answer_that_is_cut_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "answer").write_bytes(text.encode("latin-1"))
    assert leiningen_project.read_answer(tmp_path / "answer", tmp_path) is None


PROJECT = """(defproject team/shop "1.2"
  :target-path "out/%s"
  :compile-path "classes"
  :parent-project {:path "../../parent.clj" :inherit [:managed-dependencies]}
  :source-paths ["src" "../../lib/src" "linked/src"]
  :java-source-paths ["../../lib/java"]
  :filespecs [{:type :path :path "../../LICENSE"} {:type :bytes :path "x" :bytes ""}]
  :clean-targets ^{:protect false} [:target-path "resources/js" [:nowhere]]
  :profiles {:uberjar {:uberjar-name "sh\u00fcp.jar" :resource-paths ["../../web"]} :dev {:source-paths ["../../dev"]}})
"""
PARENT = '(defproject team/parent "1" :parent-project {:path "top.clj"})'


@pytest.mark.skipif(shutil.which("lein") is None, reason="needs Leiningen")
def test_leiningen_says_what_it_makes_of_a_project_and_from_what(tmp_path: Path) -> None:
    folder = tmp_path / "services" / "shop"
    folder.mkdir(parents=True)
    (folder / "project.clj").write_text(PROJECT)
    (tmp_path / "parent.clj").write_text(PARENT)
    (tmp_path / "top.clj").write_text('(defproject team/top "1")')
    (tmp_path / "linked-to/src").mkdir(parents=True)
    (folder / "linked").symlink_to("../../linked-to")  # whose files are in the digest by this name
    asking = ("lein", *leiningen_project.asking(tmp_path / "answer")[:-1], "do")
    env = {**os.environ, "LEIN_HOME": str(tmp_path), "LEIN_OFFLINE": "1", "LEIN_ROOT": "1", "LEIN_SILENT": "1"}
    (tmp_path / "deep/er").mkdir(parents=True)
    way = tmp_path / "deep/er/way"  # as a shell has it that came by a link
    way.symlink_to(folder)
    subprocess.run(asking, cwd=way, env=env | {"PWD": str(way)}, check=True, stdin=subprocess.DEVNULL)
    assert leiningen_project.read_answer(tmp_path / "answer", folder) == leiningen_project.Project(
        "out/uberjar/shüp.jar",
        ("../../LICENSE", "../../lib/java", "../../lib/src", "../../parent.clj", "../../top.clj", "../../web"),
        ("classes", "out", "resources/js"),
    )
