"""Registries: one for a Minikube however many deliver, and pushes whose tag another push removes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from slipway.clusters.registry import HOSTS, HOSTS_FILE, LocalRegistry, RemoteRegistry
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.fake import FakeDaemon
from slipway.docker.host_registry import NAME, HostRegistry
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem, RegistryDenied, RegistryFault, TagVanished
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost


class Raced(FakeDaemon):
    """A daemon in which the first that makes a registry waits for a moment, so that a second one may be faster."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.second = 0, threading.Event()
        self.store.hooks.append(self._before)

    def _before(self, operation: str) -> None:
        if operation == f"containers.find {NAME}":
            self.asked += 1
            if self.asked > 1:
                self.second.set()
        if operation == "volumes.create":
            self.second.wait(0.3)


def test_concurrent_deliveries_create_one_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Raced()
    for image in ("node", "registry"):
        daemon.images.import_rootfs(image.encode(), image, [])
    daemon.containers.start(daemon.containers.create(ContainerSpec("minikube", "node")))
    monkeypatch.setattr(HostRegistry, "_wait_until_it_answers", lambda *_: 5000)
    host = FakeHost("h", Facts("Linux", "x86_64"))

    def ready(_: int) -> int:
        return HostRegistry(daemon, host, daemon, lambda _: "registry", "minikube").ready(null_reporter())

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ready, range(2))) == [5000, 5000]
    assert [c.name for c in daemon.store.containers.values() if c.running] == ["minikube", NAME]


@pytest.mark.parametrize("listed", [True, False])
def test_a_node_is_asked_for_the_image_that_it_pulled(monkeypatch: pytest.MonkeyPatch, *, listed: bool) -> None:
    daemon, asked = FakeDaemon(), list[str]()
    image = daemon.images.import_rootfs(b"web", "web", [])
    daemon.containers.start(daemon.containers.create(ContainerSpec("minikube", image)))
    daemon.io.write_file("minikube", HOSTS_FILE, HOSTS.encode(), 0o644)
    monkeypatch.setattr(HostRegistry, "ready", lambda *_: 5000)
    monkeypatch.setattr(Cancel, "wait", lambda *_: None)

    def execute(_: str, argv: Sequence[str], *__: object) -> tuple[int, str]:
        asked.append(" ".join(argv[:-1]))
        absent = argv[1] == "inspecti" and not (listed and asked.count("crictl inspecti") > 2)
        return (1, f"no such image {argv[-1]} present") if absent else (0, "")

    monkeypatch.setattr(daemon.io, "execute", execute)
    registry = LocalRegistry(daemon, FakeHost("h", Facts("Linux", "x86_64")), daemon, "minikube", lambda _: "registry")
    if listed:
        assert registry.deliver(image, "hh/web", "1", null_reporter()).startswith(f"{NAME}:5000/hh/web@sha256:")
        assert asked == ["crictl pull", *["crictl inspecti"] * 3]
        return
    with pytest.raises(Problem, match="does not have it") as caught:
        registry.deliver(image, "hh/web", "1", null_reporter())
    assert "no such image" in caught.value.details


def test_an_image_comes_into_a_hosts_docker_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = FakeDaemon(), FakeDaemon()
    image = here.images.import_rootfs(b"web", "web", [])
    pulled: list[str] = []

    def pull(reference: str, *_: object) -> str:
        pulled.append(reference)
        return there.images.import_rootfs(b"web", reference, [])

    monkeypatch.setattr(there.transfers, "pull", pull)
    monkeypatch.setattr(HostRegistry, "ready", lambda *_: 5000)
    host = FakeHost("box1", Facts("Linux", "x86_64"))
    HostRegistry(here, host, there, lambda _: "registry").bring(image, "hh/web", "src-1", null_reporter())
    (reference,) = pulled
    assert reference.startswith("127.0.0.1:5000/hh/web@sha256:")
    assert [one.tags for one in there.state("hh").images] == [("hh/web:src-1",)]
    assert [one.tags for one in here.state("hh").images] == [("web",)]


class Shared(FakeDaemon):
    """A daemon from which another process pushes the same, and takes the name away at first."""

    def __init__(self, problem: type[Problem], times: int) -> None:
        super().__init__()
        self.problem, self.times, self.pushed = problem, times, 0
        self.store.hooks.append(self._before)

    def _before(self, operation: str) -> None:
        name, _, tag = operation.partition(" ")
        if name != "transfers.push":
            return
        self.pushed += 1
        if self.pushed <= self.times:
            self.images.untag(tag)
            raise self.problem(f"{tag} could not be pushed")


@pytest.mark.parametrize("problem", [TagVanished, RegistryFault])
def test_a_push_that_another_one_of_the_same_disturbed_is_repeated(problem: type[Problem]) -> None:
    daemon = Shared(problem, 1)
    image = daemon.images.import_rootfs(b"web", "web", [])
    assert RemoteRegistry(daemon, "r").deliver(image, "hh/web", "1", null_reporter()).startswith("r/hh/web@sha256:")
    assert daemon.pushed == 2
    assert daemon.store.images[image].tags == ("web",)


def test_a_push_that_fails_of_itself_fails_at_once_and_leaves_no_tag() -> None:
    daemon = Shared(Problem, 9)
    image = daemon.images.import_rootfs(b"web", "web", [])
    with pytest.raises(Problem, match="could not be pushed"):
        RemoteRegistry(daemon, "r").deliver(image, "hh/web", "1", null_reporter())
    assert daemon.pushed == 1
    assert daemon.store.images[image].tags == ("web",)


def test_who_may_not_push_is_told_to_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = FakeDaemon()
    image = daemon.images.import_rootfs(b"web", "web", [])

    def refuse(tag: str, _: object) -> str:
        raise RegistryDenied(f"{tag} could not be pushed", details="denied")

    monkeypatch.setattr(daemon.transfers, "push", refuse)
    with pytest.raises(RegistryDenied, match="could not be pushed") as denied:
        RemoteRegistry(daemon, "r.example.com/team").deliver(image, "hh/web", "1", null_reporter())
    assert (denied.value.details, denied.value.hint) == ("denied", "docker login r.example.com")
