"""A bundle made from source: what `bundle.create` downloads elsewhere, compiled and packed here."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from tests.lab import machines
from tests.lab.machines import sh
from tests.lab.sources import CACHE, KUBERNETES, MINIKUBE, program

HERE = Path(__file__).resolve().parent
NODE_IMAGE = f"slipway-lab/node:{MINIKUBE}"


def _small(name: str, *names: str, also: tuple[str, ...] = (), change: str = "", **files: str) -> Callable[[], None]:
    """An image of compiled programs and of Debian's own `also`; `change` is a line more of its Dockerfile."""

    def make() -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "program").mkdir()
            for one in names:
                shutil.copy(program(one), Path(folder) / "program" / one)
            for file, content in {"keep": "", **files}.items():
                (Path(folder) / "program" / file).write_text(content)
            text = (HERE / "node" / "small.Dockerfile").read_text()
            (Path(folder) / "Dockerfile").write_text(f"{text}{change}\n")
            arguments = {"ROOT": machines.root("bookworm", machines.NODE), "PROGRAMS": " ".join(also)}
            _build(name, folder, arguments)

    return make


def _build(name: str, folder: str, arguments: Mapping[str, str]) -> None:
    given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    sh("docker", "build", "-q", "-t", name, "--label", machines.LABEL, *given, folder)


def _node() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for source in (HERE / "node" / "Dockerfile", HERE / "systemd" / "machine"):
            shutil.copy(source, folder)
        for name in ("runtime", "crictl"):
            shutil.copy(program(name), Path(folder) / name)
        _build(NODE_IMAGE, folder, {"ROOT": machines.root("bookworm", machines.NODE)})


TABLES = (
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
    "conntrack",
)
IMAGES: dict[str, tuple[str, Callable[[], None]]] = {  # what the bundle calls it: the reference in it, how it is made
    "node": (NODE_IMAGE, _node),
    **{
        name: (f"registry.k8s.io/{name}:v{KUBERNETES}", _small(f"registry.k8s.io/{name}:v{KUBERNETES}", name))
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
    "kube-proxy": (
        f"registry.k8s.io/kube-proxy:v{KUBERNETES}",
        _small(f"registry.k8s.io/kube-proxy:v{KUBERNETES}", "kube-proxy", also=TABLES),
    ),
    "etcd": ("registry.k8s.io/etcd:3.6.5-0", _small("registry.k8s.io/etcd:3.6.5-0", "etcd")),
    "coredns": (
        "registry.k8s.io/coredns/coredns:v1.12.1",
        _small("registry.k8s.io/coredns/coredns:v1.12.1", "coredns", change='ENTRYPOINT ["/usr/local/bin/coredns"]'),
    ),
    "pause": (
        "registry.k8s.io/pause:3.10.1",
        _small("registry.k8s.io/pause:3.10.1", "pause", change='ENTRYPOINT ["/usr/local/bin/pause"]'),
    ),
    "registry": (
        "slipway-lab/registry:3",
        _small(
            "slipway-lab/registry:3",
            "registry",
            change='ENTRYPOINT ["/usr/local/bin/registry", "serve", "/usr/local/bin/settings"]',
            settings=(
                "version: 0.1\nlog: {level: warn}\nhttp: {addr: ':5000'}\n"
                "storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}\n"
            ),
        ),
    ),
    "probe": (
        "slipway-lab/probe:2",
        _small("slipway-lab/probe:2", also=("curl", "sh", "sleep", "tar"), change="USER 10001:10001"),
    ),
    "metrics-server": (
        "slipway-lab/metrics-server:0.7.2",
        _small(
            "slipway-lab/metrics-server:0.7.2", "metrics-server", change='ENTRYPOINT ["/usr/local/bin/metrics-server"]'
        ),
    ),
}
SYSTEM = ("kubelet", "kubeadm", "kubectl")  # minikube puts these into the node


def make(folder: Path, report: Callable[[str], None] = lambda _: None) -> Path:
    """Fill a folder with the bundle, from the cache where nothing changed; seconds when it is warm. `report` gets names."""
    files: list[dict[str, str]] = []
    store = CACHE / "bundle"
    store.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)

    def add(name: str, version: str, kind: str, source: Path, place: str) -> None:
        report(f"{name} {version}")
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.stat().st_size != source.stat().st_size or _digest(target) != _digest(source):
            shutil.copy(source, target)
        files.append(
            {"name": name, "version": version, "platform": "linux/amd64", "path": place, "sha256": _digest(target),
             "purpose": kind}
        )  # fmt: skip

    add("minikube", MINIKUBE, "tool", program("minikube"), "tools/minikube")
    add("kubectl", KUBERNETES, "tool", program("kubectl"), "tools/kubectl")
    for name in SYSTEM:
        add(name, KUBERNETES, "cluster", program(name), f"cluster/{name}")
    for name, (reference, build) in IMAGES.items():
        add(name, reference, "image", _archive(store, name, reference, build), f"images/{name}.tar")
    for suite, system in (("bookworm", "debian-12"), ("trixie", "debian-13")):
        for source in _packages(store, suite):
            name, version = source.name.split("_")[:2]
            add(name, version, "package", source, f"packages/{system}/{source.name}")
            files[-1]["system"] = system
    (folder / "bundle.yaml").write_text(json.dumps({"files": files}, indent=2) + "\n")  # JSON is YAML
    return folder


def _archive(store: Path, name: str, reference: str, build: Callable[[], None]) -> Path:
    """The image as a `docker save` archive, made again when what it is made from changed."""
    parts = [program(one).name for one in (name, "runtime", "crictl") if one in _known()]
    folders = [path.read_bytes() for path in sorted((HERE / "node").iterdir())]
    folders += [(HERE / "systemd" / "machine").read_bytes(), Path(__file__).read_bytes()]
    root = machines.root("bookworm", machines.NODE)
    key = hashlib.sha256(repr((reference, parts, folders, root)).encode()).hexdigest()[:12]
    archive = store / f"{name}-{key}.tar"
    with FileLock(store / f"{name}.lock"):  # several suites may want it at once
        if not archive.is_file():
            build()
            temporary = archive.with_suffix(".part")
            sh("docker", "save", "-o", str(temporary), reference)
            for old in store.glob(f"{name}-????????????.tar"):
                old.unlink()
            temporary.replace(archive)
    return archive


def _packages(store: Path, suite: str) -> list[Path]:
    """Docker's packages of a Debian release, and those that they need beyond a bare host's, as apt downloads them."""
    names = ("docker.io", "iptables", *(() if suite == "bookworm" else ("docker-cli",)))
    root = machines.root(suite, machines.HOST)
    place = store / f"packages-{suite}-{hashlib.sha256(repr((names, root)).encode()).hexdigest()[:12]}"
    with FileLock(store / f"packages-{suite}.lock"):
        if not place.is_dir():
            part = store / f"packages-{suite}.part"
            shutil.rmtree(part, ignore_errors=True)
            (part / "partial").mkdir(parents=True)
            flags = (
                "-q -y --no-install-recommends --download-only -o Dir::Cache::archives=/out -o APT::Sandbox::User=root"
            )
            script = f"apt-get -q update && apt-get {flags} install {' '.join(names)}"
            sh("docker", "run", "--rm", "--network", "host", "-v", f"{part}:/out", root, "sh", "-c", script)
            for other in ("partial", "lock"):
                shutil.rmtree(part / other) if (part / other).is_dir() else (part / other).unlink(missing_ok=True)
            part.replace(place)
    return sorted(place.glob("*.deb"))


def _known() -> set[str]:
    from tests.lab.sources import PROGRAMS

    return set(PROGRAMS)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
