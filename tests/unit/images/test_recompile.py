"""Jars without Leiningen: when one is made, by which compiler, and that Leiningen builds wherever anything is odd."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.errors import Cancelled
from slipway.hosts.local import LocalHost
from slipway.images import compiler, leiningen, recompile
from slipway.images.sources import Sources

# A program in Python, whose path may have spaces: the shell runs its second line, and Python reads a text there.
SHEBANG = f"""#!/bin/sh
'''exec' '{sys.executable}' "$0" "$@"
' '''
"""
# A Leiningen that makes a jar of src and of one dependency, and says how it did.
LEIN = f"""{SHEBANG}import json, os, pathlib, sys, zipfile
here = pathlib.Path.cwd()
tools = here.parent
with (tools / "log").open("a") as log:
    log.write("lein\\n")
target = here / "target"
(target / "classes").mkdir(parents=True, exist_ok=True)
own = {{"a/core.clj": (here / "src/a/core.clj").read_text()}}
for name, entries in {{"thin.jar": own, "all.jar": own | {{"dep/x": "x" * 99}}}}.items():
    with zipfile.ZipFile(target / name, "w") as out:
        for path, text in entries.items():
            out.writestr(path, text)
answer = json.loads(sys.argv[sys.argv.index(":") + 2])
pathlib.Path(answer).write_text(f"jar {{json.dumps(str(target / 'all.jar'))}}\\n")
class_path = os.pathsep.join(map(str, (here / "src", target / "classes", tools / "dep.jar")))
words = (tools / "jdk/bin/java", "-classpath", class_path, "-Da=b", "clojure.main", "-i")
lines = [("tool", tools / "lein"), *(("word", word) for word in words), ("run", "(do)"), ("root", here)]
lines += [("variable", f"{{name}}={{value}}") for name, value in os.environ.items()] + [("variable", "OF=leiningen")]
lines += [("classes", target / "classes"), ("thin", target / "thin.jar"), ("manifest", "YQ==")]
lines += [("tree", target / "classes"), ("dependency", tools / "dep.jar")]
if (tools / "unclear").exists():
    lines.append(("unclear", ":plugins"))
text = "".join(f"{{kind}} {{json.dumps(str(value))}}\\n" for kind, value in lines)
pathlib.Path(answer + ".recipe").write_text(text)
print("Compiling a.core", flush=True)
"""
# A compiler that does what the file `behaviour` says when it is asked. Its number is how many have been started.
JAVA = f"""{SHEBANG}import os, pathlib, socket, sys, time, zipfile
tools = pathlib.Path(__file__).resolve().parents[2]
folder = pathlib.Path(sys.argv[-1]).parent
with (tools / "log").open("a") as log:
    log.write(f"java {{os.getpid()}} {{folder}} {{os.environ.get('OF')}}\\n")
if (tools / "late").exists():
    (folder / "many").mkdir()
    for number in range(5000):
        (folder / "many" / str(number)).touch()
    (tools / "late").unlink()
    while (folder / "init.clj").exists():
        pass
server = socket.socket(socket.AF_UNIX)
server.bind(str(folder / "socket"))
server.listen()
server.settimeout(0.5)
while True:
    try:
        client, _ = server.accept()
        break
    except TimeoutError:
        if not (folder / "socket").exists():
            os._exit(0)
client.setblocking(True)
(folder / "socket").unlink()
behaviour = (tools / "behaviour").read_text() if (tools / "behaviour").exists() else "done"
if behaviour == "die":
    os._exit(1)
if behaviour == "hang":
    client.recv(1)
    os._exit(1)
if behaviour == "done":
    print("compiled", flush=True)
    with zipfile.ZipFile(folder / "own.jar", "w") as out:
        out.writestr("a/core.clj", pathlib.Path("src/a/core.clj").read_text())
if behaviour == "broken":
    (folder / "own.jar").write_text("not a jar")
    behaviour = "done"
client.sendall((behaviour + "\\n").encode())
"""


@dataclass
class Shop:
    """A project with those programs: what it is built with, and which of them ran."""

    folder: Path
    said: list[str] = field(default_factory=list)
    edits: int = 0
    reuse: bool = True
    profile: str = ""
    asked: int = 0  # how often it was asked whether the profile is needed
    cancel: Cancel = field(default_factory=Cancel)

    @property
    def tools(self) -> Path:
        """Where the programs are, with their log."""
        return self.folder.parent

    def build(self) -> Path:
        """The jar, after an edit."""
        self.edits += 1
        (self.folder / "src/a/core.clj").write_text(f"(ns core) {self.edits}")
        (self.tools / "log").write_text("")
        jdk = str(self.tools / "jdk")
        lein = leiningen.Leiningen(jdk, self.profile, reuse=self.reuse, offline=self._offline)
        sources = Sources(f"{self.edits:016x}", None, self.folder)
        report = Reporter("", self._note, self.cancel)
        jar = leiningen.build(LocalHost(), self.folder, lein, report, lambda: sources)
        with zipfile.ZipFile(jar) as made:
            assert {name: made.read(name).decode() for name in made.namelist()} == {
                "a/core.clj": f"(ns core) {self.edits}",
                "dep/x": "x" * 99,
            }
        return jar

    def _offline(self) -> bool:
        self.asked += 1
        return self.profile == "needed"

    def _note(self, event: object) -> None:
        self.said.append(str(getattr(event, "text", "")))

    @property
    def ran(self) -> list[str]:
        """The programs that the last build ran; one that compiles the next time starts in the background."""
        return [line.split()[0] for line in (self.tools / "log").read_text().splitlines()]

    def waiting(self) -> tuple[int, Path]:
        """The process and the folder of the compiler that waits."""
        wait_until(lambda: "java" in self.ran)
        _, process, folder, given = (self.tools / "log").read_text().splitlines()[-1].split()
        assert given == "leiningen"  # it has the variables that Leiningen added
        wait_until((Path(folder) / "socket").exists)
        return int(process), Path(folder)

    def warm(self) -> tuple[int, Path]:
        """Build until a compiler waits: by Leiningen, then by one that was just started."""
        self.build()
        assert self.ran == ["lein"]
        self.build()
        assert "lein" not in self.ran
        wait_until(lambda: self.ran.count("java") == 2)
        return self.waiting()


def wait_until(true: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A project whose compilers are ended after the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CI", raising=False)
    for path, text in {"lein": LEIN, "jdk/bin/java": JAVA}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    with zipfile.ZipFile(tmp_path / "dep.jar", "w") as out:
        out.writestr("dep/x", "x" * 99)
    folder = tmp_path / "shop"
    (folder / "src/a").mkdir(parents=True)
    (folder / "project.clj").write_text("(defproject shop)")
    yield Shop(folder)
    compiler.end()


def test_after_leiningen_a_compiler_builds_and_the_next_one_waits_for_the_next_change(shop: Shop) -> None:
    process, folder = shop.warm()
    assert folder.stat().st_mode & 0o777 == 0o700
    shop.build()
    assert "lein" not in shop.ran
    assert "compiled" in shop.said
    wait_until(lambda: not alive(process))
    assert not folder.exists()
    assert shop.waiting()[0] != process


@pytest.mark.parametrize("profile", ["needed", "not needed"])
def test_whether_a_profile_is_needed_is_asked_only_where_leiningen_runs(shop: Shop, profile: str) -> None:
    shop.profile = profile
    shop.warm()
    assert shop.asked == 1
    shop.reuse = False
    shop.build()
    assert (shop.ran[0], shop.asked) == ("lein", 2)


def test_what_is_kept_can_only_be_read_by_this_user_and_has_no_variables_of_theirs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD_OF_A_REPOSITORY", "s3cret")
    shop.build()
    [kept] = (shop.tools / "state/slipway").glob("leiningen-*.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "s3cret" not in kept.read_text()
    assert "OF=leiningen" in kept.read_text()


def kill(shop: Shop, process: int, folder: Path) -> None:
    """The compiler is killed while it waits."""
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not alive(process))


def remove_files(shop: Shop, process: int, folder: Path) -> None:
    """Its files are removed."""
    shutil.rmtree(folder)


def remove_socket(shop: Shop, process: int, folder: Path) -> None:
    """Its socket is removed."""
    (folder / "socket").unlink()


@pytest.mark.parametrize("happens", [kill, remove_files, remove_socket])
def test_a_compiler_that_is_gone_is_replaced_by_a_new_one(
    shop: Shop, happens: Callable[[Shop, int, Path], None]
) -> None:
    happens(shop, *shop.warm())
    shop.build()
    assert "lein" not in shop.ran
    wait_until(lambda: shop.ran.count("java") == 2)  # for this build, and for the next


@pytest.mark.parametrize("behaviour", ["die", "unclear /a/core", "broken", "nonsense"])
def test_leiningen_builds_where_the_compiler_fails(shop: Shop, behaviour: str) -> None:
    shop.warm()
    (shop.tools / "behaviour").write_text(behaviour)
    shop.build()
    assert shop.ran[-1] == "lein"


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_compiler_whose_folder_others_can_enter_is_not_asked(shop: Shop, mode: int) -> None:
    _, folder = shop.warm()
    folder.chmod(mode)
    shop.build()
    assert str(folder) not in (shop.tools / "log").read_text()
    assert "lein" not in shop.ran
    shutil.rmtree(folder)


LISTEN = "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777)"
STEAL = f"{LISTEN}; os.setuid(65534); s.listen(); print(); s.accept()[0].sendall(b'done\\n')"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can listen as another user")
def test_a_socket_behind_which_another_user_listens_is_not_asked(shop: Shop) -> None:
    process, folder = shop.warm()
    os.kill(process, signal.SIGKILL)
    (folder / "socket").unlink()
    argv = [sys.executable, "-c", STEAL, str(folder / "socket")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as thief:
        assert thief.stdout
        thief.stdout.readline()
        shop.build()
        thief.kill()
    assert "lein" not in shop.ran


def change_project(shop: Shop) -> None:
    """project.clj says something else."""
    (shop.folder / "project.clj").write_text("(defproject shop :x 1)")


def change_dependency(shop: Shop) -> None:
    """A dependency's jar is another one."""
    with zipfile.ZipFile(shop.tools / "dep.jar", "a") as out:
        out.writestr("dep/y", "y")


def change_uberjar(shop: Shop) -> None:
    """Somebody else has built."""
    (shop.folder / "target/all.jar").write_bytes(b"other")


def remove_target(shop: Shop) -> None:
    """`lein clean`."""
    shutil.rmtree(shop.folder / "target")


def break_what_is_kept(shop: Shop) -> None:
    """The file of the last build is half written."""
    [kept] = (shop.tools / "state/slipway").glob("leiningen-*.json")
    kept.write_text(kept.read_text()[:100])


def forbid(shop: Shop) -> None:
    """--no-cache."""
    shop.reuse = False


@pytest.mark.parametrize(
    "happens", [change_project, change_dependency, change_uberjar, remove_target, break_what_is_kept, forbid]
)
def test_leiningen_builds_where_more_than_sources_has_changed(shop: Shop, happens: Callable[[Shop], None]) -> None:
    shop.warm()
    happens(shop)
    shop.build()
    assert shop.ran == ["lein"]


def test_leiningen_builds_a_project_that_is_not_understood(shop: Shop) -> None:
    (shop.tools / "unclear").touch()
    for _ in range(3):
        shop.build()
        assert shop.ran == ["lein"]


def test_another_resource_takes_a_compiler_that_has_not_run_others_code_yet(shop: Shop) -> None:
    process, _ = shop.warm()
    (shop.folder / "src/words.txt").write_text("new")
    shop.build()
    assert "lein" not in shop.ran
    wait_until(lambda: not alive(process))


def test_one_compiler_waits_per_user_and_the_last_project_has_it(shop: Shop) -> None:
    process, folder = shop.warm()
    other = replace(shop, folder=shop.folder.with_name("other"), said=[])
    shutil.copytree(shop.folder, other.folder, ignore=shutil.ignore_patterns("target"))
    other.warm()
    wait_until(lambda: not alive(process))
    assert not folder.exists()


def test_a_compiler_that_is_ended_before_it_listens_ends_too(shop: Shop) -> None:
    shop.build()
    (shop.tools / "late").touch()
    recompile.keep_warm(
        shop.folder, [leiningen.uberjar_command(shop.folder, leiningen.Leiningen(str(shop.tools / "jdk")))]
    )
    wait_until(lambda: not (shop.tools / "late").exists())
    compiler.end()
    _, process, folder, _ = (shop.tools / "log").read_text().splitlines()[-1].split()
    wait_until(lambda: not alive(int(process)))
    assert not Path(folder).exists()


def test_in_continuous_integration_no_compiler_is_left(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    shop.build()
    shop.build()
    assert shop.ran == ["java"]
    assert not (shop.tools / "state/slipway/compiler.txt").exists()


def test_a_build_that_is_cancelled_ends_its_compiler(shop: Shop) -> None:
    process, folder = shop.warm()
    (shop.tools / "behaviour").write_text("hang")
    threading.Timer(0.5, shop.cancel.request).start()
    with pytest.raises(Cancelled):
        shop.build()
    wait_until(lambda: not alive(process))
    assert not folder.exists()


def test_nobody_else_is_taken_for_a_compiler(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        server.listen()
        (tmp_path / "link").symlink_to(folder)
        assert compiler.connected(tmp_path / "link") is None
        found = compiler.connected(folder)
        assert found
        found.close()
