"""A bundle made of what a server, a Docker and apt's lists have: whole, checked, and refused when it is not that."""

from __future__ import annotations

import functools
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipway.config.models import Config
from slipway.config.versions import Images, Tools
from slipway.docker.fake import FakeDaemon
from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.steps import Probe
from slipway.errors import Problem
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.hosts.host import THIS_MACHINE, Command
from slipway.installers import bundle_images
from slipway.installers.bundle import Bundle, image_tag
from slipway.installers.bundle_create import ARCHIVE_FOLDER, COMPONENTS, PROGRAMS, BundleBuilder

PINNED = "registry.example.org/pause:3@sha256:" + "a" * 64
NEEDS = {"docker.io": ["docker.io", "containerd", "runc", "libc6"], "?priority(required)": ["libc6", "base-files"]}


def apt_get(command: Command) -> tuple[int, bytes, bytes]:
    """apt, which plans for a machine that has nothing, and fetches."""
    if "--simulate" in command.argv:
        return 0, "".join(f"Inst {name} (1 Debian)\n" for name in NEEDS[command.argv[-1]]).encode(), b""
    for name in command.argv[3:]:
        Path(command.cwd or "", f"{name}_1_amd64.deb").write_text(name)
    return 0, b"", b""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL under which a server gives it away."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def release(place: Path, names: tuple[str, ...]) -> str:
    """Kubernetes' archive of these files, whose content is their name; its sha512."""
    with tarfile.open(place, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(f"{ARCHIVE_FOLDER}/{name}")
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    return hashlib.sha512(place.read_bytes()).hexdigest()


WHOLE = (*PROGRAMS, "mounter", *(f"{name}.tar" for name in COMPONENTS))


def collection(site: tuple[Path, str], folder: Path, names: tuple[str, ...] = WHOLE, **changed: Any) -> BundleBuilder:
    place, url = site
    (place / "minikube").write_bytes(b"minikube")
    tools: dict[str, Any] = {
        "minikube": {
            "version": "1.38.1",
            "minimum": "1.34.0",
            "platforms": {"linux/amd64": {"url": f"{url}/minikube", "sha256": hashlib.sha256(b"minikube").hexdigest()}},
        },
        "kubernetes": {
            "version": "1.34.4",
            "platforms": {"linux/amd64": {"url": f"{url}/k.tar.gz", "sha512": release(place / "k.tar.gz", names)}},
        },
        "docker": {"packages": {"debian": ["docker.io"]}},
    }
    recipe = {"kind": "packages", "packages": ["postgresql"], "files": ["/usr/bin/psql"]}
    images = {"cluster": {"pause": {"upstream": PINNED}}, "bases": {"postgres": {"recipe": recipe}}}
    config = SimpleNamespace(tools=Tools.model_validate(tools), images=Images.model_validate(images))
    daemon = FakeDaemon()

    def base(name: str, _: Reporter) -> str:
        daemon.images.import_rootfs(name.encode(), f"slipway/base-{name}:0", [])
        return f"slipway/base-{name}:0"

    daemon.store.offered[PINNED] = daemon.images.import_rootfs(b"pause", "x:1", [])
    facts = Facts("Linux", "x86_64", system="debian", version="12", has=("apt-get",))
    host = FakeHost("here", facts, {"apt-get": apt_get})
    given: dict[str, Any] = {"platform": "linux/amd64", "base": base, **changed}
    return BundleBuilder(cast("Config", config), host, daemon, folder=folder, **given)


def test_a_bundle_has_everything_and_is_what_was_pinned(site: tuple[Path, str], tmp_path: Path) -> None:
    made = tmp_path / "bundle"
    collection(site, made).build(null_reporter())
    bundle = Bundle(made)
    assert bundle.faults(null_reporter()) == []
    found = {(file.purpose, file.name): file for file in bundle.files}
    assert {name for purpose, name in found if purpose == "cluster"} == set(PROGRAMS)
    assert {name for purpose, name in found if purpose == "image"} == {"pause", "postgres", *COMPONENTS}
    assert found["image", "kube-proxy"].version == "registry.k8s.io/kube-proxy:v1.34.4"
    assert found["image", "pause"].version == "registry.example.org/pause:3"
    assert found["image", "postgres"].version == "slipway/base-postgres:0"
    assert (made / found["cluster", "kubelet"].path).read_text() == "kubelet"
    assert {(f.name, f.system) for f in bundle.of("package")} == {
        ("docker.io", "debian-12"), ("containerd", "debian-12"), ("runc", "debian-12")
    }  # fmt: skip


@pytest.mark.parametrize("spoil", ["k.tar.gz", "minikube"])
def test_what_is_not_what_was_pinned_makes_no_bundle(site: tuple[Path, str], tmp_path: Path, spoil: str) -> None:
    made = collection(site, tmp_path / "bundle")
    (site[0] / spoil).write_bytes(b"something else")
    with pytest.raises(Problem, match="is not the file that was pinned"):
        made.build(null_reporter())
    assert not (tmp_path / "bundle" / "bundle.yaml").exists()


def test_an_archive_that_lacks_a_file_is_reported(site: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"has no kubernetes/server/bin/kube-proxy\.tar"):
        collection(site, tmp_path / "bundle", WHOLE[:-1]).build(null_reporter())


@pytest.mark.parametrize(
    ("platform", "facts"),
    [
        ("linux/arm64", Facts("Linux", "x86_64", system="debian", version="12", has=("apt-get",))),
        ("linux/amd64", Facts("Linux", "x86_64", system="fedora", version="42", has=("dnf",))),
        ("linux/amd64", Facts("Darwin", "x86_64")),
    ],
)
def test_a_base_that_can_not_be_built_here_is_left_out_and_named(
    site: tuple[Path, str], tmp_path: Path, platform: str, facts: Facts
) -> None:
    heard: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Output):
            heard.append(event.text)

    whole = collection(site, tmp_path / "bundle", platform=platform)
    whole.folder.mkdir()
    made = replace(whole, host=FakeHost("here", facts))
    assert [file.name for file in made.images(Reporter("x", hear, Cancel()))] == ["pause"]
    assert any(line.startswith("image postgres is left out") for line in heard)


def test_a_bundles_base_is_loaded_by_a_docker_that_has_neither_network_nor_packages(
    site: tuple[Path, str], tmp_path: Path
) -> None:
    collection(site, tmp_path / "bundle").build(null_reporter())
    there = FakeDaemon()
    bundle, state = Bundle(tmp_path / "bundle"), Probe(lambda: there.state("hh"))
    host = FakeHost(THIS_MACHINE, Facts("Linux", "x86_64"))
    (step,) = bundle_images.steps(bundle, host, there, state, (), {"postgres"}.__contains__)
    assert step.check(state.facts())
    step.apply(null_reporter())
    assert there.state("hh").tagged(image_tag("postgres"))


def test_packages_are_left_out_for_another_platform(site: tuple[Path, str], tmp_path: Path) -> None:
    made = collection(site, tmp_path / "bundle", platform="linux/arm64")
    assert list(made.packages(null_reporter())) == []
