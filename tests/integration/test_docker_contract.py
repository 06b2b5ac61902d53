"""What every Docker daemon must do, asked of the real one and of the one in memory alike."""

from __future__ import annotations

import io
import secrets
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from docker import APIClient

from slipway.docker.daemon import DockerDaemon
from slipway.docker.fake import FakeDaemon
from slipway.docker.protocols import LABEL, Daemon, Spec
from slipway.engine.steps import Cancel, null_reporter
from slipway.errors import Cancelled, Problem
from slipway.hosts.facts import libraries
from slipway.hosts.host import Command
from slipway.hosts.local import LocalHost
from tests.integration.project import Project

SLEEP, TIMEOUT = "/bin/sleep", "/usr/bin/timeout"


@pytest.fixture(params=["real", "fake"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with ExitStack() as closing:
        yield DockerDaemon(LocalHost(), closing) if request.param == "real" else FakeDaemon()


@pytest.fixture
def project(daemon: Daemon) -> Iterator[str]:
    name = f"t{secrets.token_hex(4)}"
    yield name
    if isinstance(daemon, DockerDaemon):
        leftover = Project.__new__(Project)
        leftover.name = name
        leftover.purge()


def sleeper(daemon: Daemon, project: str) -> str:
    """An image of a program that goes on, and ends when it is told to."""
    linked = LocalHost().run(Command(("ldd", SLEEP, TIMEOUT)), null_reporter()).text
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (SLEEP, TIMEOUT, *libraries(linked)):
            entry = tarfile.TarInfo(path.lstrip("/"))
            content = Path(path).read_bytes()
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return daemon.load_root(buffer.getvalue(), f"{project}/sleeper:1", [f'CMD ["{TIMEOUT}", "60", "{SLEEP}", "60"]'])


def test_a_container_lives_from_create_to_remove(daemon: Daemon, project: str) -> None:
    image = sleeper(daemon, project)
    labels = {LABEL: project}
    spec = Spec(f"{project}_a", image, labels, env={"A": "b"}, publish={8080: 0}, memory=64 * 2**20)
    made = daemon.create(spec)
    with pytest.raises(Problem):
        daemon.create(spec)
    daemon.start(made)
    found = daemon.inspect(spec.name)
    assert (found.id, found.image, found.running, found.memory) == (made, image, True, 64 * 2**20)
    assert "A=b" in found.env
    assert found.ports[8080][0] == "127.0.0.1"
    assert found.ports[8080][1] > 0
    publishing = daemon.publishing(found.ports[8080][1])
    assert publishing is not None
    assert publishing.id == made
    assert [c.name for c in daemon.state(project).containers] == [spec.name]
    daemon.rename(made, f"{project}_b")
    daemon.stop(made, 1)
    stopped = daemon.find(f"{project}_b")
    assert stopped is not None
    assert not stopped.running
    assert daemon.publishing(found.ports[8080][1]) is None
    daemon.remove(made)
    daemon.remove(made)  # once more: it is gone already
    assert daemon.find(made) is None
    with pytest.raises(Problem):
        daemon.inspect(made)


def test_a_tag_moves_to_the_image_that_has_it_last(daemon: Daemon, project: str) -> None:
    image = sleeper(daemon, project)
    tag = f"{project}/other:1"
    daemon.tag(image, tag)
    found = daemon.state(project).tagged(tag)
    assert found is not None
    assert found.id == image
    daemon.untag(tag)
    daemon.untag(tag)  # once more: it is gone already
    assert daemon.state(project).tagged(tag) is None
    with pytest.raises(Problem):
        daemon.tag("sha256:" + "0" * 64, tag)


def test_an_image_tells_its_layers(daemon: Daemon, project: str) -> None:
    assert len(daemon.config(sleeper(daemon, project)).layers) == 1
    with pytest.raises(Problem, match="could not be read"):
        daemon.config("sha256:" + "0" * 64)


def test_volumes_keep_their_labels_and_their_files_outlive_containers(daemon: Daemon, project: str) -> None:
    image, labels = sleeper(daemon, project), {LABEL: project, "number": "1"}
    daemon.volume(f"{project}_v", labels)
    daemon.volume(f"{project}_v", labels)
    with pytest.raises(Problem):
        daemon.volume(f"{project}_v", {**labels, "number": "2"})
    assert [dict(v.labels) for v in daemon.state(project).volumes] == [labels]
    spec = Spec(f"{project}_h", image, {LABEL: project}, volumes={f"{project}_v": "/kept"})
    first = daemon.create(spec)
    assert daemon.read(first, "/kept/file") is None
    daemon.write(first, "/kept/file", b"content", 0o600)
    daemon.remove(first)
    second = daemon.create(spec)
    assert daemon.read(second, "/kept/file") == b"content"
    daemon.remove(second)
    daemon.remove_volume(f"{project}_v")
    assert daemon.state(project).volumes == ()


def test_networks_are_made_once_and_named(daemon: Daemon, project: str) -> None:
    daemon.network(project, {LABEL: project})
    daemon.network(project, {LABEL: project})
    assert daemon.state(project).networks == (project,)
    image = sleeper(daemon, project)
    made = daemon.create(Spec(f"{project}_n", image, {LABEL: project}, network=project, aliases=("name",)))
    daemon.start(made)
    assert "name" in daemon.inspect(made).aliases[project]
    daemon.remove(made)
    daemon.remove_network(project)
    assert daemon.state(project).networks == ()


def test_a_network_that_many_threads_want_at_once_is_created_once(daemon: Daemon, project: str) -> None:
    for attempt in range(5):
        name, together = f"{project}-{attempt}", threading.Barrier(8)

        def ask(name: str = name, together: threading.Barrier = together) -> None:
            together.wait()
            daemon.network(name, {LABEL: project})

        with ThreadPoolExecutor(8) as pool:
            for asked in [pool.submit(ask) for _ in range(8)]:
                asked.result()
        assert daemon.state(project).networks == (name,)
        daemon.remove_network(name)
        assert daemon.state(project).networks == ()


def test_networks_of_one_name_become_one_that_all_their_containers_are_on(project: str) -> None:
    with ExitStack() as closing:
        daemon, api = DockerDaemon(LocalHost(), closing), APIClient()
        image, together = sleeper(daemon, project), threading.Barrier(2)

        def create() -> str:
            together.wait()
            return str(api.create_network(project, labels={LABEL: project})["Id"])

        with ThreadPoolExecutor(2) as pool:
            first, second = (made.result() for made in [pool.submit(create), pool.submit(create)])
        for name, network in (("a", first), ("b", second)):
            daemon.start(daemon.create(Spec(f"{project}_{name}", image, {LABEL: project})))
            api.disconnect_container_from_network(f"{project}_{name}", "bridge")
            api.connect_container_to_network(f"{project}_{name}", network, aliases=[name])
        daemon.network(project, {LABEL: project})
        assert daemon.state(project).networks == (project,)
        for name in ("a", "b"):
            assert name in daemon.inspect(f"{project}_{name}").aliases[project]
        assert len(api.inspect_network(project)["Containers"]) == 2
        for name in ("a", "b"):
            daemon.remove(f"{project}_{name}")
        daemon.remove_network(project)
        api.close()


def test_networks_of_one_name_are_removed_together(project: str) -> None:
    with ExitStack() as closing:
        daemon, api = DockerDaemon(LocalHost(), closing), APIClient()
        for _ in range(2):
            api.create_network(project, labels={LABEL: project})
        daemon.remove_network(project)
        daemon.remove_network(project)  # once more: they are gone already
        assert daemon.state(project).networks == ()
        api.close()


def test_what_can_not_be_pulled_is_a_problem(daemon: Daemon) -> None:
    with pytest.raises(Problem, match="could not be pulled"):
        daemon.pull("nowhere.invalid/none@sha256:" + "0" * 64, null_reporter())


def test_a_command_in_a_container_is_not_waited_for_for_ever(project: str) -> None:
    with ExitStack() as closing:
        daemon, cancel = DockerDaemon(LocalHost(), closing), Cancel()
        container = daemon.create(Spec(f"{project}_a", sleeper(daemon, project), {LABEL: project}))
        daemon.start(container)
        assert daemon.execute(container, [SLEEP, "0"], null_reporter()) == (0, "")
        began = time.monotonic()
        assert daemon.execute(container, [SLEEP, "30"], null_reporter(), 0.5) == (124, "no answer within 0.5 s")
        threading.Timer(0.5, cancel.request).start()
        with pytest.raises(Cancelled):
            daemon.execute(container, [SLEEP, "30"], null_reporter(cancel))
        assert time.monotonic() - began < 20
        daemon.remove(container)
