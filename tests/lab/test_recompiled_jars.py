"""Jars that are made without Leiningen are those that it makes of the same sources, byte for byte but for times."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.local import LocalHost
from slipway.images import compiler, leiningen
from slipway.images.jar import split_jar
from slipway.images.sources import Sources
from slipway.installers.java import clojars_answers
from tests.integration.project import ROOT
from tests.lab.hands import SERVICES

pytestmark = pytest.mark.lab
LONG = pytest.mark.long

# What an entry of a jar says of itself, without its time and where it is in the file.
FIELDS = (
    *("filename", "flag_bits", "compress_type", "compress_size", "file_size", "CRC", "extra", "comment"),
    *("external_attr", "internal_attr", "create_system", "create_version", "extract_version"),
)


@dataclass
class Clone:
    """A clone of the services, one of which is built."""

    root: Path
    name: str
    said: list[str] = field(default_factory=list)
    builds: int = 0

    @property
    def folder(self) -> Path:
        """The service's folder."""
        return self.root / self.name

    @property
    def own(self) -> Path:
        """The folder of its own namespaces."""
        return self.folder / "src/helping_hands" / self.name

    def build(self, *, reuse: bool = True) -> Path:
        """A copy of its uberjar."""
        host = LocalHost()
        facts, tools = host.probe.facts(), load(ROOT).tools
        kit = facts.jdk(tools.java.minimum)
        assert kit
        profile = "" if clojars_answers(facts) else tools.clojure.profile
        self.builds += 1
        self.said.clear()
        sources = Sources(f"{self.builds:016x}", None, self.folder)
        report = Reporter("", lambda event: self.said.append(str(getattr(event, "text", ""))), Cancel())
        lein = leiningen.Leiningen(kit.home, profile, reuse)
        jar = leiningen.build(host, self.folder, lein, report, lambda: sources)
        return Path(shutil.copy(jar, self.root / f"{self.builds}.jar"))

    def by_plain_leiningen(self) -> Path:
        """A copy of the uberjar that Leiningen makes of the same sources; all that it leaves is taken away again."""
        target, aside = self.folder / "target", self.folder / "target.kept"
        target.rename(aside)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(self.root.parent / "another state"))
            wanted = self.build(reuse=False)
        assert self.by_leiningen()
        shutil.rmtree(target)
        aside.rename(target)
        return wanted

    def by_leiningen(self) -> bool:
        """Whether Leiningen ran in the last build."""
        return any(line.startswith("Created ") for line in self.said)

    def compare(self, made: Path, wanted: Path) -> None:
        """Fail unless two jars are the same."""
        with zipfile.ZipFile(made) as one, zipfile.ZipFile(wanted) as other:
            assert one.namelist() == other.namelist()
            for entry, theirs in zip(one.infolist(), other.infolist(), strict=True):
                assert [(f, getattr(entry, f)) for f in FIELDS] == [(f, getattr(theirs, f)) for f in FIELDS]
            assert [name for name in one.namelist() if one.read(name) != other.read(name)] == []
        sources = [path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file()]
        assert split_jar(made, sources) == split_jar(wanted, sources)

    def write(self, path: str, text: str) -> None:
        """Write one of its own namespaces, or another file of the clone by its path from there."""
        file = self.own / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def append(self, path: str, text: str) -> None:
        """Add to a file, by its path from its own namespaces."""
        self.write(path, (self.own / path).read_text() + text)

    def require(self, namespace: str) -> None:
        """Have its main namespace require another one, first."""
        main = (self.own / "main.clj").read_text()
        self.write("main.clj", main.replace("(:require ", f"(:require [{namespace}]\n            ", 1))


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Clone]]:
    """Makes a clone; its compilers are ended after the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CI", raising=False)

    def make(name: str) -> Clone:
        ignored = shutil.ignore_patterns("target", ".lein*")
        shutil.copytree(ROOT / "services", tmp_path / "services", ignore=ignored)
        return Clone(tmp_path / "services", name)

    yield make
    compiler.end()


SHORT = ("auth", "order")  # the others are as they are


@pytest.mark.parametrize("name", [name if name in SHORT else pytest.param(name, marks=LONG) for name in SERVICES])
def test_a_changed_line_makes_the_jar_that_leiningen_makes(clone: Callable[[str], Clone], name: str) -> None:
    service = clone(name)
    service.build()
    assert service.by_leiningen()
    for number in range(2):  # by a compiler that was just started, and by one that waits
        service.append("main.clj", f"\n(defn- changed{number} [x] (map #(+ {number} %) x))\n")
        made = service.build()
        assert not service.by_leiningen(), service.said
    service.compare(made, service.by_plain_leiningen())


def line(service: Clone, n: int) -> None:
    """A line of a file that others use."""
    service.append("config.clj", f"\n(def ^:private number-{n} (mapv #(* % {n}) (range 3)))\n")


def shared(service: Clone, n: int) -> None:
    """A line of a file that all services have."""
    service.append("../../../../shared/src/helping_hands/shared/http.clj", f"\n(defn more-{n} [& xs] (count xs))\n")


def namespace(service: Clone, n: int) -> None:
    """A new namespace."""
    service.write(
        f"new{n}.clj", f"(ns helping-hands.auth.new{n} (:require [clojure.set :as s]))\n(def a (s/union #{{{n}}}))\n"
    )
    service.require(f"helping-hands.auth.new{n}")


def macro(service: Clone, n: int) -> None:
    """A macro that is used elsewhere, with symbols of its own."""
    text = "(defmacro twice [x] `(let [a# ~x b# (fn [] a#)] [a# (b#) #(inc %)]))"
    service.write(f"macro{n}.clj", f"(ns helping-hands.auth.macro{n})\n{text}\n")
    service.write(
        f"uses{n}.clj",
        f"(ns helping-hands.auth.uses{n} (:require [helping-hands.auth.macro{n} :as m]))\n(def v (m/twice {n}))\n",
    )
    service.require(f"helping-hands.auth.uses{n}")


def changed_macro(service: Clone, n: int) -> None:
    """A macro that says something else, while what uses it is the same."""
    path = next(iter(sorted(service.own.glob("macro*.clj"))), None)
    if path is None:
        macro(service, n)
    else:
        path.write_text(path.read_text().replace("#(inc %)", f"#(+ {n} % (let [c# a#] c#))"))


def removed(service: Clone, n: int) -> None:
    """A file that is gone, after it has been there."""
    path = next(iter(sorted(service.own.glob("new*.clj"))), None)
    if path is None:
        namespace(service, n)
        return
    path.unlink()
    main = (service.own / "main.clj").read_text()
    service.write("main.clj", main.replace(f"[helping-hands.auth.{path.stem}]\n            ", ""))


def protocol(service: Clone, n: int) -> None:
    """A protocol with a record, an extension and a reify."""
    text = f"""(ns helping-hands.auth.shape{n})
(defprotocol Shape (area [this]) (grown [this by]))
(defrecord Square [side] Shape (area [_] (* side side)) (grown [this by] (update this :side + by)))
(extend-protocol Shape String (area [s] (count s)) (grown [s by] (str s by)) nil (area [_] 0) (grown [_ by] by))
(defn other [] (reify Shape (area [_] {n}) (grown [this _] this)))
(defmulti kind class) (defmethod kind Square [_] :square) (defmethod kind :default [_] nil)
"""
    service.write(f"shape{n}.clj", text)
    service.require(f"helping-hands.auth.shape{n}")


def classes(service: Clone, n: int) -> None:
    """Classes by gen-class, deftype, proxy and definterface."""
    text = f"""(ns helping-hands.auth.made{n} (:gen-class :name helping.Made{n} :prefix "made-"))
(defn made-toString [_] "made") (definterface Counter{n} (^long next []))
(deftype Count{n} [^:unsynchronized-mutable ^long at] Counter{n} (next [_] (set! at (inc at)) at))
(defn thread [] (proxy [Thread] [] (run [] (println {n}))))
"""
    service.write(f"made{n}.clj", text)
    service.require(f"helping-hands.auth.made{n}")


def dependency(service: Clone, n: int) -> None:
    """A namespace of a dependency that nothing has required before, and one of Clojure's that has code in a jar."""
    names = ("ring.util.mime-type", "ring.middleware.keyword-params", "clojure.zip", "clojure.data", "clojure.pprint")
    service.require(names[n % len(names)])


def data_readers(service: Clone, n: int) -> None:
    """Data readers, and a literal that they read."""
    service.write("../../data_readers.clj", "{hands/twice helping-hands.auth.readers/twice}")
    service.write("readers.clj", "(ns helping-hands.auth.readers)\n(defn twice [x] [x x])\n")
    service.write(
        f"literal{n}.clj",
        f"(ns helping-hands.auth.literal{n} (:require [helping-hands.auth.readers]))\n(def v #hands/twice {n})\n",
    )
    service.require(f"helping-hands.auth.literal{n}")


def project(service: Clone, n: int) -> None:
    """A dependency less or more in project.clj."""
    text = (service.folder / "project.clj").read_text()
    more = '[org.slf4j/slf4j-jdk14 "1.7.36"]'
    text = (
        text.replace(f" {more}", "")
        if more in text
        else text.replace(":dependencies [[", f":dependencies [{more} [", 1)
    )
    (service.folder / "project.clj").write_text(text)


def resource(service: Clone, n: int) -> None:
    """A resource that is new, in a folder of its own."""
    service.write(f"../../../resources/of/{n}/words.txt", str(n))


def changed_resource(service: Clone, n: int) -> None:
    """A resource that says something else, and one that Leiningen leaves out."""
    service.append("../../../resources/openapi.json", "\n" * n)
    service.write("../../../resources/draft.txt~", str(n))


def provider(service: Clone, n: int) -> None:
    """A provider for Java's ServiceLoader, whose files Leiningen joins."""
    service.write("../../../resources/META-INF/services/java.nio.file.spi.FileTypeDetector", f"# {n}\n")


def shadow(service: Clone, n: int) -> None:
    """A namespace of a dependency that is the project's own now."""
    service.write(
        "../../ring/util/time.clj", f"(ns ring.util.time)\n(defn parse-date [_] {n})\n(defn format-date [_] nil)\n"
    )


def readme(service: Clone, n: int) -> None:
    """A file of the project that Leiningen packs."""
    (service.folder / "README.md").write_text(f"# {n}\n")


KINDS = [
    *(line, shared, namespace, macro, changed_macro, removed, protocol, classes, dependency),
    *(data_readers, project, resource, changed_resource, provider, shadow, readme),
]


@LONG
def test_twenty_edits_make_the_jars_that_leiningen_makes(clone: Callable[[str], Clone]) -> None:
    choose = random.Random(7)  # noqa: S311  the same edits each time
    edits = [*KINDS, *choose.choices(KINDS[:9], k=20 - len(KINDS))]
    late = {project, provider, shadow, data_readers}  # what follows is Leiningen's, as long as it is there
    choose.shuffle(edits)
    edits.sort(key=lambda edit: edit in late)
    service = clone("auth")
    service.build()
    quick: list[str] = []
    for n, edit in enumerate(edits):
        edit(service, n)
        made = service.build()
        if not service.by_leiningen():
            quick.append(edit.__name__)
            service.compare(made, service.by_plain_leiningen())
    plain = {edit.__name__ for edit in edits if edit not in late} - {"readme"}
    assert plain <= set(quick), "these need no Leiningen"


def test_a_syntax_error_is_told_as_leiningen_tells_it(clone: Callable[[str], Clone]) -> None:
    service = clone("auth")
    service.build()
    service.append("config.clj", "\n(defn broken [] (no-such-function))\n")
    errors = []
    for reuse in (True, False):
        with pytest.raises(Problem) as told:
            service.build(reuse=reuse)
        errors.append(told.value.summary)
    assert errors[0] == errors[1]
    assert "helping_hands/auth/config.clj" in errors[0]


@LONG
def test_a_compiler_killed_at_any_moment_costs_time_only(clone: Callable[[str], Clone]) -> None:
    service = clone("auth")
    wanted = service.build()
    moments = random.Random(17)  # noqa: S311  the same moments each time
    by_leiningen = 0
    for _ in range(10):
        killer = Killer(service, moments.uniform(0.0, 4.0))
        killer.start()
        made = service.build()
        killer.join()
        assert killer.killed, "a compiler waited, or worked, at each of these moments"
        by_leiningen += service.by_leiningen()
        service.compare(made, wanted)
    assert by_leiningen, "one of them was killed at work"


class Killer(threading.Thread):
    """Kills the compilers that there are some seconds from now, or the first that there is later."""

    def __init__(self, service: Clone, seconds: float) -> None:
        super().__init__(daemon=True)
        self.service, self.seconds = service, seconds
        self.killed = set[str]()

    def run(self) -> None:
        time.sleep(self.seconds)
        deadline = time.monotonic() + 60
        while not self.killed and time.monotonic() < deadline:
            self.killed = _compilers(self.service)
            for process in self.killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)


def test_a_stolen_socket_costs_time_only(clone: Callable[[str], Clone]) -> None:
    service = clone("auth")
    line(service, 1)
    wanted = service.build()
    made = service.build()
    assert not service.by_leiningen()
    folder = Path((service.root.parent / "state/slipway/compiler.txt").read_text().split()[1])
    _until((folder / "socket").exists)
    (folder / "socket").unlink()
    with socket.socket(socket.AF_UNIX) as thief:  # answers, and has made nothing
        thief.bind(str(folder / "socket"))
        thief.listen()
        answering = threading.Thread(target=lambda: thief.accept()[0].sendall(b"done\n"), daemon=True)
        answering.start()
        stolen = service.build()
    assert service.by_leiningen()
    service.compare(made, wanted)
    service.compare(stolen, wanted)


def test_a_compiler_ends_when_its_folder_is_removed(clone: Callable[[str], Clone]) -> None:
    service = clone("auth")
    for n in range(2):
        line(service, n)
        service.build()
    waiting = _compilers(service)
    assert len(waiting) == 1
    folder = Path((service.root.parent / "state/slipway/compiler.txt").read_text().split()[1])
    _until((folder / "socket").exists)
    shutil.rmtree(folder)
    _until(lambda: not _compilers(service) & waiting)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _compilers(service: Clone) -> set[str]:
    """The processes of this user that wait to compile for this test."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
            if compiler.MEMORY.encode() in words and os.fsencode(service.root) in words:
                found.add(path.name)
        except OSError:
            continue
    return found
