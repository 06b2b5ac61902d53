"""A service under development: what is evaluated after a save."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from slipway.config.models import Health, Service
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import Names
from slipway.engine.reporter import null_reporter
from slipway.errors import NextCommand, UsageError
from slipway.flows import dev
from slipway.flows.dev import DevSession
from slipway.flows.repl import Evaluated, Fault
from slipway.flows.selection import select
from slipway.images.saves import SavedFiles, SaveWatcher
from tests.unit.flows.workspaces import build_machine, project, workspace


class FakeRepl:
    """A JVM that evaluates what it is asked to, or gives the next of `answers`."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, str], list[str], Sequence[str]]] = []
        self.answers: list[Evaluated] = []

    def evaluate(self, sources: Mapping[str, str], deleted: Iterable[str], paths: Sequence[str]) -> Evaluated:
        self.asked.append((sources, [*deleted], paths))
        return self.answers.pop(0) if self.answers else Evaluated(tuple(paths), "")

    def close(self) -> None:
        """There is nothing to close."""


class Shop:
    """The session of a shop in Clojure, which runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.repl, self.source = FakeRepl(), folder / "shop" / "src" / "shop"
        self.source.mkdir(parents=True)
        (self.source / "main.clj").write_text("(ns shop.main)")
        (folder / "shop" / "project.clj").write_text("(defproject shop)")
        shop = Service(name="shop", build="lein", health=Health(exec=("true",)))
        self.daemon = FakeDaemon()
        work = workspace(project(folder, [shop]), build_machine(self.daemon))
        service = work.services["shop"]
        digest = service.sources.facts().digest
        (folder / "shop" / "target").mkdir()
        with zipfile.ZipFile(folder / "shop" / "target" / f"shop.{digest}.jar", "w") as jar:
            jar.writestr("shop/main__init.class", "")
        service.sources.forget()
        image = self.daemon.store.add_image(b"", {})
        self.daemon.images.tag(image, Names("shop", "sh").image("shop", digest))
        monkeypatch.setattr(dev, "connect", lambda *_: (self.repl, False))
        self.session = DevSession(work, select(work.services), service, SavedFiles(SaveWatcher()))
        self.session.start(null_reporter())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path, monkeypatch)


def test_what_was_saved_is_evaluated_and_what_is_no_clojure_is_told(shop: Shop) -> None:
    (shop.source / "main.clj").write_text("(ns shop.main) 1")
    (shop.source / "new.cljc").write_text("(ns shop.new)")
    (shop.source.parent.parent / "project.clj").write_text("(defproject shop) ; new")
    found = shop.session.reload()
    texts = {"shop/main.clj": "(ns shop.main) 1", "shop/new.cljc": "(ns shop.new)"}
    assert shop.repl.asked == [(texts, [], ["shop/main.clj", "shop/new.cljc"])]
    assert [path.name for path in found.at_next_start] == ["project.clj"]
    assert shop.session.file("shop/new.cljc") == shop.source / "new.cljc"
    assert found.seconds < 10


def test_what_an_error_kept_back_is_evaluated_with_the_next_save(shop: Shop) -> None:
    shop.repl.answers = [Evaluated((), "", Fault("shop/main.clj", 1, 1, "no"), ("shop/main.clj",))]
    (shop.source / "main.clj").write_text("(")
    assert shop.session.reload().evaluated.fault
    (shop.source / "new.clj").write_text("(ns shop.new)")
    shop.session.reload()
    (shop.source / "new.clj").unlink()
    gone = shop.session.reload()
    assert [paths for _, _, paths in shop.repl.asked] == [["shop/main.clj"], ["shop/main.clj", "shop/new.clj"], []]
    assert (shop.repl.asked[-1][1], gone.deleted) == (["shop/new.clj"], (shop.source / "new.clj",))


def test_nothing_of_a_session_is_left_when_its_workspace_is_closed(shop: Shop) -> None:
    assert len(shop.daemon.store.containers) == 1
    shop.session.work.closing.close()
    assert (shop.daemon.store.containers, shop.daemon.store.networks) == ({}, {})


def test_a_service_without_a_jar_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    work = workspace(project(tmp_path, [Service(name="page", build="none")]))
    with pytest.raises(UsageError, match="page is not built as a jar") as refused:
        DevSession(work, select(work.services), work.services["page"], SavedFiles(SaveWatcher()))
    assert refused.value.commands == (NextCommand("deploy", {"service": "page", "watch": True}),)
