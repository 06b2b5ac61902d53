"""What an environment's images reach, and that what Slipway runs itself is brought there once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipway.clusters.registry import NAME, LocalRegistry, RemoteRegistry
from slipway.config.load import load
from slipway.config.models import Environment
from slipway.deployers.kubernetes.release_store import State
from slipway.docker.fake import FakeDaemon
from slipway.docker.protocols import Container, Spec
from slipway.engine.steps import Reporter, null_reporter
from slipway.errors import Problem
from slipway.flows import clusters
from slipway.flows.workspace import Workspace
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost

ROOT = Path(__file__).resolve().parents[3]


def here(daemon: FakeDaemon | None = None, **settings: str) -> Workspace:
    host, daemon = FakeHost("h", Facts("Linux", "x86_64")), daemon or FakeDaemon()
    environment = Environment(name="staging", **settings)  # type: ignore[arg-type]
    return Workspace(load(ROOT), environment, host, daemon, host, daemon, lambda _: None)


def docker(*images: str) -> FakeDaemon:
    daemon = FakeDaemon()
    for image in images:
        daemon.load_root(image.encode(), image, [])
    return daemon


def minikube() -> FakeDaemon:
    daemon = docker("node", "registry")
    daemon.start(daemon.create(Spec("minikube", "node")))
    return daemon


@pytest.mark.parametrize(
    ("daemon", "settings", "reached"),
    [
        (FakeDaemon(), {"context": "my-cluster"}, False),
        (minikube(), {"context": "my-cluster"}, False),
        (FakeDaemon(), {"context": "minikube"}, False),
        (minikube(), {"context": "minikube"}, True),
        (FakeDaemon(), {"context": "my-cluster", "registry": "r.example.com/team"}, True),
        (FakeDaemon(), {}, True),
    ],
)
def test_a_context_names_its_registry_unless_it_is_a_minikube_here(
    daemon: FakeDaemon, settings: dict[str, str], reached: bool
) -> None:
    place = here(daemon, **settings)
    if reached:
        place.reachable()
        return
    with pytest.raises(Problem, match="environment staging names no registry"):
        place.reachable()


@pytest.mark.parametrize("released", [None, "r/auth@sha256:1"])
def test_a_missing_registry_is_told_before_anything_is_built_if_anything_is(
    released: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = here(context="my-cluster")
    monkeypatch.setattr(place, "released", lambda _: released)
    check = clusters.platform(place, ["auth"]).check
    if released:
        assert check({"linux/amd64"}) is None
        return
    with pytest.raises(Problem, match="names no registry"):
        check({"linux/amd64"})


def test_a_minikube_that_runs_with_another_runtime_is_told() -> None:
    check = clusters.cluster(here()).check
    assert check(State(runtimes=frozenset({"containerd://1.7.28"}))) is None
    with pytest.raises(Problem, match=r"has docker://28.4.0, and containerd is wanted"):
        check(State(runtimes=frozenset({"docker://28.4.0"})))


def test_what_slipway_runs_itself_is_brought_once_by_rollouts_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    place, brought, second = here(), list[str](), threading.Event()

    class Slow:
        def deliver(self, image: str, repository: str, tag: str, report: Reporter) -> str:  # noqa: ARG002
            brought.append(repository)
            second.set() if len(brought) > 1 else second.wait(0.3)
            return f"r/{repository}"

    monkeypatch.setattr(place, "provided", lambda *_: "image")
    monkeypatch.setattr(place, "delivery", lambda *_: Slow())
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: place.brought("probe", null_reporter()), range(2)))
    assert len(brought) == 1
    assert found[0] == found[1]


class Raced(FakeDaemon):
    """A daemon in which the first that makes a registry waits for a moment, so that a second one may be faster."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.second = 0, threading.Event()

    def find(self, container: str) -> Container | None:
        if container == NAME:
            self.asked += 1
            if self.asked > 1:
                self.second.set()
        return super().find(container)

    def volume(self, name: str, labels: object) -> None:  # noqa: ARG002
        self.second.wait(0.3)


def test_deliveries_side_by_side_make_one_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Raced()
    for image in ("node", "registry"):
        daemon.load_root(image.encode(), image, [])
    daemon.start(daemon.create(Spec("minikube", "node")))
    monkeypatch.setattr(LocalRegistry, "_answers", lambda *_: 5000)
    host = FakeHost("h", Facts("Linux", "x86_64"))

    def ready(_: int) -> int:
        return LocalRegistry(daemon, host, daemon, "minikube", "registry").ready(null_reporter())

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ready, range(2))) == [5000, 5000]
    assert [c.name for c in daemon.containers.values() if c.running] == ["minikube", NAME]


class Shared(FakeDaemon):
    """A daemon from which another process pushes the same, and takes the name away at first."""

    def __init__(self, words: str, times: int) -> None:
        super().__init__()
        self.words, self.times, self.pushed = words, times, 0

    def push(self, tag: str, report: Reporter) -> str:
        self.pushed += 1
        if self.pushed <= self.times:
            self.untag(tag)
            raise Problem(f"{tag} could not be pushed", details=self.words)
        return super().push(tag, report)


@pytest.mark.parametrize(
    "words", ["tag does not exist: r/hh/web:1", "An image does not exist locally with the tag: r/hh/web"]
)
def test_a_push_whose_name_another_one_took_away_is_made_again(words: str) -> None:
    daemon = Shared(words, 1)
    image = daemon.load_root(b"web", "web", [])
    assert RemoteRegistry(daemon, "r").deliver(image, "hh/web", "1", null_reporter()).startswith("r/hh/web@sha256:")
    assert daemon.pushed == 2
    assert daemon.images[image].tags == ("web",)


def test_a_push_that_fails_of_itself_fails_at_once_and_leaves_no_name() -> None:
    daemon = Shared("connection refused", 9)
    image = daemon.load_root(b"web", "web", [])
    with pytest.raises(Problem, match="could not be pushed"):
        RemoteRegistry(daemon, "r").deliver(image, "hh/web", "1", null_reporter())
    assert daemon.pushed == 1
    assert daemon.images[image].tags == ("web",)
