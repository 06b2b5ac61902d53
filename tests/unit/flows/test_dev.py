"""A service under development: what is evaluated after a save."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.config.models import Health, Service
from slipway.deployers.fake import FakeEnvironment
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import Names
from slipway.engine.reporter import null_reporter
from slipway.engine.steps import Probe
from slipway.errors import NextCommand, Unreachable, UsageError, deploy_command
from slipway.flows import dev
from slipway.flows.cluster_dev import ClusterDev
from slipway.flows.dev import DevSession, ReleaseToIntercept
from slipway.flows.repl import Evaluated, Fault
from slipway.flows.selection import select
from slipway.images.saves import SavedFiles, SaveWatcher
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from tests.unit.clusters.test_kinds import HOST
from tests.unit.flows.workspaces import build_machine, project, workspace
from tests.unit.kubernetes.fake_checks import NoChecks


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
    for name in ("project.clj", "service.yaml"):
        (shop.source.parent.parent / name).write_text("(defproject shop) ; new")
    found = shop.session.reload()
    texts = {"shop/main.clj": "(ns shop.main) 1", "shop/new.cljc": "(ns shop.new)"}
    assert shop.repl.asked == [(texts, [], ["shop/main.clj", "shop/new.cljc"])]
    assert [path.name for path in found.at_next_start] == ["project.clj", "service.yaml"]
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


def on_a_cluster(folder: Path, *, intercept: bool = False) -> DevSession:
    """A session of a shop that needs auth, whose environment is a cluster with nothing on it."""
    given = [Service(name="auth", build="lein"), Service(name="shop", build="lein", needs=("auth",))]
    fake = FakeEnvironment()
    work = workspace(project(folder, given), made=fake.deployments)
    scope = NamespaceScope(Client(KubeContext("x")), "shop", "shop", HOST, NoChecks(), "me")
    cluster = ClusterDev(
        ProjectNamespace(scope, Probe(State)), fake.deployments, work.build.checks, lambda _: "r/probe:1"
    )
    work = replace(work, dev=cluster)
    return DevSession(
        work, select(work.services, ["shop"]), work.services["shop"], SavedFiles(SaveWatcher()), intercept
    )


def test_on_a_cluster_only_the_service_is_built_and_what_it_needs_must_run(tmp_path: Path) -> None:
    session = on_a_cluster(tmp_path)
    nodes = {node.id: node for node in dev.dev(session.work, session.selection, session)}
    assert {"needs", "shop/jar", "shop/image", "shop/dev"} <= nodes.keys()
    assert not {"auth/jar", "auth/image", "intercept"} & nodes.keys()
    assert "needs" in nodes["secrets"].after


def test_traffic_that_is_to_be_taken_needs_a_release_before_anything_is_built(tmp_path: Path) -> None:
    session = on_a_cluster(tmp_path, intercept=True)
    nodes = {node.id: node for node in dev.dev(session.work, session.selection, session)}
    found = nodes["shop/intercept"]
    assert "shop/intercept" in nodes["secrets"].after
    assert isinstance(found, ReleaseToIntercept)
    with pytest.raises(Unreachable, match="shop is not deployed in local: there is no traffic to take") as refused:
        found.verify(None)
    assert refused.value.commands == (deploy_command("shop"),)
