"""A builder of the team's own: a real script that makes a jar, and what goes wrong with one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from slipway.config.models import Service
from slipway.docker.fake import FakeDaemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output, Status
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.run import Run
from slipway.errors import Cancelled, Problem
from slipway.flows import build as flow
from slipway.flows.services import AnyService
from slipway.hosts.local import LocalHost
from slipway.images import builder as builders
from slipway.images.build_context import build_context
from slipway.images.jar import split_jar
from tests.unit.flows.workspaces import build_machine, project, workspace

JAVA = "src/main/java/shop/Main.java"
SCRIPT = f"""#!/usr/bin/env python3
import os, pathlib, sys, zipfile
print("compiling", *sys.argv[1:], flush=True)
out = pathlib.Path("target/app.jar")
out.parent.mkdir(exist_ok=True)
source = pathlib.Path("{JAVA}").read_text()
if source == "broken":
    sys.exit("Main.java:1: error")
if source == "nothing":
    sys.exit()
if source == "writes":
    pathlib.Path("src/generated.txt").write_text("x")
if source == "fine":  # as the Clojure CLI and Maven's shade plugin do
    pathlib.Path(".cpcache").mkdir(exist_ok=True)
    pathlib.Path(".cpcache/1.basis").write_text("x")
    pathlib.Path("dependency-reduced-pom.xml").write_text("x")
if source == "text":
    sys.exit(out.write_text("x") and 0)
if out.exists():  # as Gradle does with what is up to date
    sys.exit()
with zipfile.ZipFile(out, "w") as jar:
    jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\\nMain-Class: shop.Main\\n")
    jar.writestr("shop/Main.class", source)
    jar.writestr("lib/Other.class", "other")
"""


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def shop(root: Path, source: str = "fine", **build: object) -> AnyService:
    """A service that `./build` makes a jar of."""
    said = {"run": ["./build", "-q"], "jar": "target/app.jar", **build}
    service = Service.model_validate({"name": "shop", "build": said})
    config = project(root, [service])
    folder = root / "shop"
    for name, text in {"build": SCRIPT, JAVA: source, "notes.txt": "x", "Dockerfile": "FROM x\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "build").chmod(0o755)
    return workspace(config).services["shop"]


def build(service: AnyService, report: Reporter | None = None) -> Path:
    """The jar, built on this machine."""
    settings = service.settings
    assert settings.builder
    return builders.build(
        LocalHost(), settings.folder, settings.builder, "/jdk", report or null_reporter(), service.read
    )


def test_the_jar_is_named_by_its_sources_and_found_again(tmp_path: Path) -> None:
    service, events = shop(tmp_path), list[Event]()
    jar = build(service, Reporter("shop/jar", events.append, Cancel()))
    assert jar == tmp_path / "shop" / "target" / f"app.{service.read().digest}.jar"
    assert service.read().jar == jar
    assert [event.text for event in events if isinstance(event, Output)] == ["compiling -q"]
    (tmp_path / "shop" / "Dockerfile").write_text("FROM y\n")
    assert service.read().jar is None
    assert build(service) != jar, "though the builder itself has nothing to do"


def test_its_jar_goes_the_way_of_an_uberjar(tmp_path: Path) -> None:
    service = shop(tmp_path)
    (tmp_path / "shop" / "Dockerfile").write_text("FROM x\nCOPY target/app.jar /\n")
    jar, sources = build(service), service.read()
    context = build_context(sources.folder, "Dockerfile", sources.digest, jar, sources.files)
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        assert set(archive.getnames()) == {"Dockerfile", JAVA, "build", "notes.txt", "target/app.jar"}
    own, others = split_jar(jar, sources.files)[::-1]
    for part, names in ((own, {"META-INF/MANIFEST.MF", "shop/Main.class"}), (others, {"lib/Other.class"})):
        (tmp_path / "part.jar").write_bytes(part)
        assert set(zipfile.ZipFile(tmp_path / "part.jar").namelist()) == names


@pytest.mark.parametrize(
    ("source", "given", "summary", "told"),
    [
        ("broken", {}, "shop: `./build -q` failed with exit code 1", "Main.java:1: error"),
        ("nothing", {}, "shop: `./build -q` made no target/app.jar", "compiling -q"),
        ("fine", {"jar": "target/other.jar"}, "shop: `./build -q` made no target/other.jar", "correct `build.jar`"),
        ("text", {}, "app.jar is not a valid jar", "zip"),
        ("writes", {}, "shop: its sources changed while it was built", "ignored by Git"),
        ("writes", {}, "shop: its sources changed while it was built", "changed: src/generated.txt\n"),
        ("fine", {"run": ["no-such-mvn"]}, "shop: no-such-mvn, which builds it, is not on this machine", "install"),
        (
            "fine",
            {"run": ["./nobuild"]},
            "shop: ./nobuild, which builds it, is not on this machine",
            "correct `build.run`",
        ),
        ("fine", {"run": ["./notes.txt"]}, "shop: ./notes.txt, which builds it, is not executable", "chmod +x /"),
        ("fine", {"run": ["./plain"]}, "./plain could not be started", "a first line such as #!/bin/sh"),
        ("fine", {"run": ["./windows"]}, "./windows could not be started", "carriage return"),
        ("fine", {"run": ["sh", "-c", "kill -9 $$"]}, "shop: `sh -c 'kill -9 $$'` was ended by signal 9", "shop && sh"),
    ],
)
def test_what_goes_wrong_is_told_and_leaves_no_jar(
    tmp_path: Path, source: str, given: dict[str, object], summary: str, told: str
) -> None:
    service = shop(tmp_path, source, **given)
    for name, text in (("plain", "true\n"), ("windows", "#!/bin/sh\r\ntrue\r\n")):
        (tmp_path / "shop" / name).write_text(text)
        (tmp_path / "shop" / name).chmod(0o755)
    with pytest.raises(Problem) as caught:
        build(service)
    assert caught.value.summary == summary
    assert told in f"{caught.value.details} {caught.value.hint}"
    assert service.read().jar is None


def test_a_jar_of_an_earlier_build_is_not_taken_for_that_of_this_one(tmp_path: Path) -> None:
    service = shop(tmp_path, "nothing")
    (tmp_path / "shop" / "target").mkdir()
    (tmp_path / "shop" / "target" / "app.jar").write_bytes(b"PK")
    with pytest.raises(Problem, match=r"made no target/app.jar"):
        build(service)


def test_a_folder_in_place_of_the_jar_is_told(tmp_path: Path) -> None:
    service = shop(tmp_path)
    (tmp_path / "shop" / "target" / "app.jar").mkdir(parents=True)
    with pytest.raises(Problem, match=r"app.jar can't be replaced"):
        build(service)


def test_an_interrupted_builder_ends_with_all_that_it_started(tmp_path: Path) -> None:
    text = f"echo $$ >{tmp_path}/pids; sleep 300 & echo $! >>{tmp_path}/pids; echo runs; wait"
    service, cancel = shop(tmp_path, run=["sh", "-c", text]), Cancel()

    def hear(event: Event) -> None:
        if isinstance(event, Output) and event.text == "runs":
            cancel.request()

    with pytest.raises(Cancelled):
        build(service, Reporter("shop/jar", hear, cancel))
    deadline = time.monotonic() + 5
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    while any(psutil.pid_exists(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_two_runs_build_one_jar_once(tmp_path: Path) -> None:
    service = shop(tmp_path, run=["sh", "-c", f"echo one >>{tmp_path}/runs; sleep 0.5; ./build"])
    threads = [threading.Thread(target=build, args=(service,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (tmp_path / "runs").read_text() == "one\n"


@pytest.mark.parametrize(
    ("inputs", "changes"),
    [
        ((), {JAVA, "notes.txt", "Dockerfile", "build"}),
        (("src",), {JAVA, "Dockerfile"}),
        (("src/main", "ignored/spec.json", "test"), {JAVA, "Dockerfile", "ignored/spec.json", "test/x"}),
        ((".",), {JAVA, "notes.txt", "Dockerfile", "build"}),
    ],
)
def test_inputs_are_what_the_digest_and_the_context_are_made_of(
    tmp_path: Path, inputs: tuple[str, ...], changes: set[str]
) -> None:
    service = shop(tmp_path, inputs=inputs)
    folder = tmp_path / "shop"
    for name in (".gitignore", "ignored/spec.json", "ignored/other.json", "test/x", "target/other"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("ignored/\n" if name == ".gitignore" else "x")
    found = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore"):
        before, content = service.read().digest, path.read_text()
        path.write_text(f"{content} ")
        if service.read().digest != before:
            found.add(path.relative_to(folder).as_posix())
        path.write_text(content)
    assert found == changes
    sources = service.read()
    assert {path.relative_to(folder).as_posix() for path in sources.files} - {".gitignore"} == changes


def test_a_named_input_is_read_whole_also_what_is_left_out_elsewhere(tmp_path: Path) -> None:
    service = shop(tmp_path, inputs=("src", "test"))
    folder = tmp_path / "shop"
    places = ("shop/src/service.yaml", "shop/test/target/t", "lib/test/l", "lib/README.md")
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("x")
    (folder / "src/linked").symlink_to("../../lib")
    found = {path.resolve().relative_to(tmp_path.resolve()).as_posix() for path in service.read().files}
    assert found >= set(places)


def test_names_and_output_of_any_bytes_are_no_crash(tmp_path: Path) -> None:
    service = shop(tmp_path, run=["sh", "-c", "cat src/*; ./build"], inputs=["src", "build"])
    name = os.fsencode(tmp_path / "shop/src") + b"/\xff\n"
    odd = Path(os.fsdecode(name))
    odd.write_bytes(b"\xfe")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    jar, sources = build(service), service.read()
    assert odd in sources.files
    context = build_context(sources.folder, "Dockerfile", sources.digest, jar, sources.files)
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        assert odd.relative_to(sources.folder).as_posix() in archive.getnames()
    odd.write_bytes(b"\xfd")
    assert service.read().jar is None


def test_an_input_that_git_ignores_or_that_is_a_link_counts_and_is_not_in_the_image(tmp_path: Path) -> None:
    service = shop(tmp_path, inputs=["src", "made", "linked"])
    folder = tmp_path / "shop"
    (folder / ".gitignore").write_text("/made\n")
    (folder / "made").mkdir()
    (folder / "linked").symlink_to("../lib")
    (tmp_path / "lib").mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    digests = set()
    for path in (folder / "made/a.json", tmp_path / "lib/b.clj"):
        digests.add(service.read().digest)
        path.write_text("x")
    sources = service.read()
    assert len({*digests, sources.digest}) == 3
    context = build_context(folder, "Dockerfile", sources.digest, None, sources.files)
    with tarfile.open(fileobj=io.BytesIO(context)) as archive:
        assert set(archive.getnames()) == {"Dockerfile", JAVA}


def test_another_command_or_another_jar_is_another_build(tmp_path: Path) -> None:
    digests = {
        shop(tmp_path, **given).read().digest
        for given in ({}, {"run": ["./build"]}, {"jar": "target/b.jar"}, {"run": "./build -q"})
    }
    assert len(digests) == 3, "a line is its words"


def test_a_jar_is_a_step_in_front_of_the_image(tmp_path: Path) -> None:
    shop(tmp_path)
    service = Service.model_validate({"name": "shop", "build": {"run": ["./build"], "jar": "target/app.jar"}})
    work = workspace(project(tmp_path, [service]), build_machine(FakeDaemon()))
    machine = work.build.__class__(**{**vars(work.build), "host": LocalHost()})
    work = work.__class__(**{**vars(work), "build": machine})
    services = list(work.services.values())
    result = Run(flow.build(work, services), list[Event]().append, Cancel()).go()
    assert result.statuses == {"shop/jar": Status.CHANGED}
    assert Run(flow.build(work, services), list[Event]().append, Cancel()).go().statuses == {
        "shop/jar": Status.UNCHANGED
    }
    assert next(iter(flow.image(work, services))).after == ("shop/jar",)


def test_a_builder_has_a_java_home_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import json, os; json.dump([os.environ['JAVA_HOME'], os.environ['HOME']], open('told', 'w'))"
    service = shop(tmp_path, run=["python3", "-c", script], inputs=["src"])
    for given, expected in ((None, "/jdk"), ("/own", "/own")):
        monkeypatch.delenv("JAVA_HOME", raising=False)
        if given:
            monkeypatch.setenv("JAVA_HOME", given)
        with pytest.raises(Problem, match="made no"):
            build(service)
        assert json.loads((tmp_path / "shop" / "told").read_text()) == [expected, os.environ["HOME"]]
