"""What every Docker daemon must do, asked of the real one and of the one in memory alike."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from docker import APIClient

from slipway.docker.container_spec import ContainerSpec
from slipway.docker.daemon import DockerDaemon
from slipway.docker.exit_causes import TERMINATED
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import LABEL
from slipway.docker.protocols import Daemon
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import null_reporter
from slipway.errors import Cancelled, Problem
from slipway.hosts.facts import libraries
from slipway.hosts.host import Command
from slipway.hosts.local import LocalHost
from tests.integration.project import purged_name

SLEEP, TIMEOUT = "/bin/sleep", "/usr/bin/timeout"


@pytest.fixture(params=["real", "fake"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with ExitStack() as closing:
        yield DockerDaemon(LocalHost(), closing) if request.param == "real" else FakeDaemon()


project = pytest.fixture(purged_name)


def sleeper(daemon: Daemon, project: str, *command: str) -> str:
    """An image of a program that runs until it is signalled."""
    linked = LocalHost().run(Command(("ldd", SLEEP, TIMEOUT)), null_reporter()).text
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in (SLEEP, TIMEOUT, *libraries(linked)):
            entry = tarfile.TarInfo(path.lstrip("/"))
            content = Path(path).read_bytes()
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    lines = [f"CMD {json.dumps(command or (TIMEOUT, '60', SLEEP, '60'))}", f"LABEL {LABEL}={project}"]
    return daemon.images.import_rootfs(buffer.getvalue(), f"{project}/sleeper:1", lines)


def test_a_container_lives_from_create_to_remove(daemon: Daemon, project: str) -> None:
    image = sleeper(daemon, project)
    labels = {LABEL: project}
    spec = ContainerSpec(f"{project}_a", image, labels, env={"A": "b"}, publish={8080: 0}, memory=64 * 2**20)
    made = daemon.containers.create(spec)
    with pytest.raises(Problem, match=f"container {project}_a could not be created"):
        daemon.containers.create(spec)
    daemon.containers.start(made)
    found = daemon.containers.inspect(spec.name)
    assert (found.id, found.image, found.running, found.memory) == (made, image, True, 64 * 2**20)
    assert "A=b" in found.env
    assert found.ports[8080][0] == "127.0.0.1"
    assert found.ports[8080][1] > 0
    publisher = daemon.containers.find_by_port(found.ports[8080][1])
    assert publisher is not None
    assert publisher.id == made
    assert [c.name for c in daemon.state(project).containers] == [spec.name]
    daemon.containers.rename(made, f"{project}_b")
    daemon.containers.stop(made, 1)
    stopped = daemon.containers.find(f"{project}_b")
    assert stopped is not None
    assert not stopped.running
    assert daemon.containers.find_by_port(found.ports[8080][1]) is None
    daemon.containers.remove(made)
    daemon.containers.remove(made)  # once more: it is gone already
    daemon.containers.stop(made, 1)
    assert daemon.containers.find(made) is None
    with pytest.raises(Problem, match=f"container {made} could not be read"):
        daemon.containers.inspect(made)


@pytest.mark.parametrize("daemon", ["real"], indirect=True)
def test_a_program_that_is_no_init_hears_that_it_is_to_stop(daemon: Daemon, project: str) -> None:
    made = daemon.containers.create(
        ContainerSpec(f"{project}_a", sleeper(daemon, project, SLEEP, "60"), {LABEL: project})
    )
    daemon.containers.start(made)
    daemon.containers.stop(made, 30)
    assert daemon.containers.inspect(made).exit_code == TERMINATED, "killed after its grace period otherwise"


def test_a_tag_moves_to_the_image_that_has_it_last(daemon: Daemon, project: str) -> None:
    image = sleeper(daemon, project)
    tag = f"{project}/other:1"
    daemon.images.tag(image, tag)
    found = daemon.state(project).tagged(tag)
    assert found is not None
    assert found.id == image
    daemon.images.untag(tag)
    daemon.images.untag(tag)  # once more: it is gone already
    assert daemon.state(project).tagged(tag) is None
    with pytest.raises(Problem, match="could not be tagged"):
        daemon.images.tag("sha256:" + "0" * 64, tag)


def test_an_image_is_inspected_with_its_layers(daemon: Daemon, project: str) -> None:
    image = sleeper(daemon, project)
    layers = list(daemon.images.inspect(image).layers)
    configuration = json.loads(daemon.images.configuration(image))
    assert len(layers) == 1
    assert configuration["rootfs"] == {"type": "layers", "diff_ids": layers}
    assert len(configuration["history"]) == 1
    with pytest.raises(Problem, match="could not be read"):
        daemon.images.inspect("sha256:" + "0" * 64)


def test_a_build_says_what_its_last_stage_is_based_on(project: str) -> None:
    content = f"ARG VERSION=1\n from \\\n {project}/sleeper:$VERSION As one\nLABEL a=b\nFROM one\n".encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    with ExitStack() as closing:
        daemon = DockerDaemon(LocalHost(), closing)
        image = sleeper(daemon, project)
        built = daemon.images.build(buffer.getvalue(), "Dockerfile", (), {}, {LABEL: project}, "", null_reporter())
        closing.callback(daemon.images.untag, built.id)
        assert image.removeprefix("sha256:").startswith(built.base)
        assert built.base


def test_volumes_keep_their_labels_and_their_files_outlive_containers(daemon: Daemon, project: str) -> None:
    image, labels = sleeper(daemon, project), {LABEL: project, "number": "1"}
    daemon.volumes.create(f"{project}_v", labels)
    daemon.volumes.create(f"{project}_v", labels)
    with pytest.raises(Problem, match=f"volume {project}_v already exists, with other labels"):
        daemon.volumes.create(f"{project}_v", {**labels, "number": "2"})
    assert [dict(v.labels) for v in daemon.state(project).volumes] == [labels]
    spec = ContainerSpec(f"{project}_h", image, {LABEL: project}, volumes={f"{project}_v": "/kept"})
    first = daemon.containers.create(spec)
    assert daemon.io.read_file(first, "/kept/file") is None
    daemon.io.write_file(first, "/kept/file", b"content", 0o600)
    daemon.containers.remove(first)
    with pytest.raises(Problem, match="No such container"):
        daemon.io.read_file(first, "/kept/file")
    second = daemon.containers.create(spec)
    assert daemon.io.read_file(second, "/kept/file") == b"content"
    daemon.io.write_folder(second, "/kept", {"a/b/c.clj": b"first", "d.clj": b"second"})
    assert daemon.io.read_file(second, "/kept/a/b/c.clj") == b"first"
    assert daemon.io.read_file(second, "/kept/d.clj") == b"second"
    with pytest.raises(Problem, match="could not be removed"):
        daemon.volumes.remove(f"{project}_v")
    daemon.containers.remove(second)
    daemon.volumes.remove(f"{project}_v")
    daemon.volumes.remove(f"{project}_v")  # once more: it is gone already
    assert daemon.state(project).volumes == ()


def test_a_link_is_told_from_the_folder_that_it_leads_to(project: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, target in (("real", tarfile.DIRTYPE, ""), ("link", tarfile.SYMTYPE, "real")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, target, 0o755
            archive.addfile(entry)
    with ExitStack() as closing:
        daemon = DockerDaemon(LocalHost(), closing)
        lines = ['CMD ["/real/program"]', f"LABEL {LABEL}={project}"]
        image = daemon.images.import_rootfs(buffer.getvalue(), f"{project}/links:1", lines)
        container = daemon.containers.create(ContainerSpec(f"{project}_links", image, {LABEL: project}))
        assert daemon.io.is_link(container, "/link")
        assert not daemon.io.is_link(container, "/real")
        assert not daemon.io.is_link(container, "/absent")


def test_networks_are_created_once_and_know_their_containers_by_alias(daemon: Daemon, project: str) -> None:
    daemon.networks.create(project, {LABEL: project})
    daemon.networks.create(project, {LABEL: project})
    assert daemon.state(project).networks == (project,)
    image = sleeper(daemon, project)
    made = daemon.containers.create(
        ContainerSpec(f"{project}_n", image, {LABEL: project}, network=project, aliases=("name",))
    )
    daemon.containers.start(made)
    assert "name" in daemon.containers.inspect(made).aliases[project]
    daemon.containers.remove(made)
    daemon.networks.remove(project)
    assert daemon.state(project).networks == ()


def test_a_network_that_many_threads_want_at_once_is_created_once(daemon: Daemon, project: str) -> None:
    for attempt in range(5):
        name, together = f"{project}-{attempt}", threading.Barrier(8)

        def ask(name: str = name, together: threading.Barrier = together) -> None:
            together.wait()
            daemon.networks.create(name, {LABEL: project})

        with ThreadPoolExecutor(8) as pool:
            for asked in [pool.submit(ask) for _ in range(8)]:
                asked.result()
        assert daemon.state(project).networks == (name,)
        daemon.networks.remove(name)
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
            daemon.containers.start(
                daemon.containers.create(ContainerSpec(f"{project}_{name}", image, {LABEL: project}))
            )
            api.disconnect_container_from_network(f"{project}_{name}", "bridge")
            api.connect_container_to_network(f"{project}_{name}", network, aliases=[name])
        daemon.networks.create(project, {LABEL: project})
        assert daemon.state(project).networks == (project,)
        for name in ("a", "b"):
            assert name in daemon.containers.inspect(f"{project}_{name}").aliases[project]
        assert len(api.inspect_network(project)["Containers"]) == 2
        for name in ("a", "b"):
            daemon.containers.remove(f"{project}_{name}")
        daemon.networks.remove(project)
        api.close()


def test_networks_of_one_name_are_removed_together(project: str) -> None:
    with ExitStack() as closing:
        daemon, api = DockerDaemon(LocalHost(), closing), APIClient()
        for _ in range(2):
            api.create_network(project, labels={LABEL: project})
        daemon.networks.remove(project)
        daemon.networks.remove(project)  # once more: they are gone already
        assert daemon.state(project).networks == ()
        api.close()


def test_what_can_not_be_pulled_is_a_problem(daemon: Daemon) -> None:
    with pytest.raises(Problem, match="could not be pulled"):
        daemon.transfers.pull("nowhere.invalid/none@sha256:" + "0" * 64, null_reporter())


def test_a_command_in_a_container_is_not_waited_for_for_ever(project: str) -> None:
    with ExitStack() as closing:
        daemon, cancel = DockerDaemon(LocalHost(), closing), Cancel()
        container = daemon.containers.create(ContainerSpec(f"{project}_a", sleeper(daemon, project), {LABEL: project}))
        daemon.containers.start(container)
        assert daemon.io.execute(container, [SLEEP, "0"], null_reporter()) == (0, "")
        began = time.monotonic()
        assert daemon.io.execute(container, [SLEEP, "30"], null_reporter(), 0.5) == (124, "no answer within 0.5 s")
        threading.Timer(0.5, cancel.request).start()
        with pytest.raises(Cancelled):
            daemon.io.execute(container, [SLEEP, "30"], null_reporter(cancel))
        assert time.monotonic() - began < 20
        daemon.containers.remove(container)


def test_a_paused_container_can_go_on_be_stopped_and_be_removed(daemon: Daemon, project: str) -> None:
    assert daemon.resources.memory() > 2**30
    container = daemon.containers.create(ContainerSpec(f"{project}_a", sleeper(daemon, project), {LABEL: project}))
    with pytest.raises(Problem, match="could not be paused"):
        daemon.resources.pause(container)
    daemon.containers.start(container)
    for leave in (daemon.resources.unpause, stop(daemon), daemon.containers.remove):
        daemon.resources.pause(container)
        assert daemon.containers.inspect(container).state == "paused"
        leave(container)
        found = daemon.containers.find(container)
        assert found is None or found.state in {"running", "exited"}
        if found and not found.running:
            daemon.containers.start(container)
    with pytest.raises(Problem, match="No such container"):
        daemon.resources.unpause(container)


def stop(daemon: Daemon) -> Callable[[str], None]:
    """Stop a container within a second."""
    return partial(daemon.containers.stop, grace=1)
