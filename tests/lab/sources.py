"""Kubernetes, minikube and what they need, compiled from their Go modules where no release store can be reached."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from slipway.errors import Problem

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway-lab"
GO = shutil.which("go") or "/usr/local/go/bin/go"

KUBERNETES, STAGING, MINIKUBE = "1.34.4", "0.34.4", "1.38.1"
SKAFFOLD = "2.16.1"  # what `bench` measures a deploy beside: only that needs it
STAGED = (
    "api",
    "apiextensions-apiserver",
    "apimachinery",
    "apiserver",
    "cli-runtime",
    "client-go",
    "cloud-provider",
    "cluster-bootstrap",
    "code-generator",
    "component-base",
    "component-helpers",
    "controller-manager",
    "cri-api",
    "cri-client",
    "csi-translation-lib",
    "dynamic-resource-allocation",
    "endpointslice",
    "externaljwt",
    "kms",
    "kube-aggregator",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "metrics",
    "mount-utils",
    "pod-security-admission",
    "sample-apiserver",
    "sample-cli-plugin",
    "sample-controller",
)
COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubeadm",
    "kubectl",
)


@dataclass(frozen=True)
class Module:
    """A Go module made only to pin what it imports: exact versions, and others put in their place."""

    imports: tuple[str, ...]
    requires: Mapping[str, str]
    replaces: Mapping[str, str] = field(default_factory=dict)
    own: str = ""  # a program of this folder that the module also holds


@dataclass(frozen=True)
class Program:
    """One binary: the package that it is, in which module, and how it is linked."""

    package: str
    module: str
    sets: Mapping[str, str] = field(default_factory=dict)
    tags: str = ""
    cgo: bool = False


MODULES = {
    "kubernetes": Module(
        (*(f"k8s.io/kubernetes/cmd/{name}" for name in COMPONENTS), "k8s.io/cri-client/pkg", "k8s.io/cri-api/pkg/apis"),
        {"k8s.io/kubernetes": f"v{KUBERNETES}"},
        {f"k8s.io/{name}": f"v{STAGING}" for name in STAGED},
        own="crictl",
    ),
    "etcd": Module(("go.etcd.io/etcd/server/v3",), {"go.etcd.io/etcd/server/v3": "v3.6.5"}),
    "minikube": Module(("k8s.io/minikube/cmd/minikube",), {"k8s.io/minikube": f"v{MINIKUBE}"}),
    "coredns": Module(("github.com/coredns/coredns",), {"github.com/coredns/coredns": "v1.12.1"}),
    "registry": Module(
        ("github.com/distribution/distribution/v3/cmd/registry",), {"github.com/distribution/distribution/v3": "v3.0.0"}
    ),
    "metrics-server": Module(
        ("sigs.k8s.io/metrics-server/cmd/metrics-server",), {"sigs.k8s.io/metrics-server": "v0.7.2"}
    ),
    "skaffold": Module(
        ("github.com/GoogleContainerTools/skaffold/v2/cmd/skaffold",),
        {"github.com/GoogleContainerTools/skaffold/v2": f"v{SKAFFOLD}"},
        {  # its own go.mod's: those of a required module don't count
            "github.com/alessio/shellescape": "v1.4.2",
            "github.com/imdario/mergo": "v0.3.16",
            "github.com/docker/docker": "v27.5.1+incompatible",
            "github.com/docker/cli": "v27.5.1+incompatible",
            "github.com/spf13/viper": "v1.19.0",
            "github.com/buildpacks/lifecycle": "v0.20.5",
        },
    ),
    "pebble": Module(("github.com/letsencrypt/pebble/v2/cmd/pebble",), {"github.com/letsencrypt/pebble/v2": "v2.10.3"}),
    "pause": Module((), {}, own="pause"),
    "runtime": Module((), {}, own="runtime"),
    "toy": Module((), {}, own="toy"),
    "delay": Module((), {}, own="delay"),
}
VERSIONS = {"gitVersion": f"v{KUBERNETES}", "gitMajor": "1", "gitMinor": "34", "gitTreeState": "clean"}
PROGRAMS = {
    **{
        name: Program(
            f"k8s.io/kubernetes/cmd/{name}",
            "kubernetes",
            {f"k8s.io/{place}/{key}": value for place in ("component-base/version", "client-go/pkg/version")
             for key, value in VERSIONS.items()},
        )
        for name in COMPONENTS
    },
    "crictl": Program("./crictl", "kubernetes"),
    "etcd": Program("go.etcd.io/etcd/server/v3", "etcd"),
    "minikube": Program(
        "k8s.io/minikube/cmd/minikube",
        "minikube",
        {"k8s.io/minikube/pkg/version.version": f"v{MINIKUBE}", "k8s.io/minikube/pkg/version.isoVersion": "v1.38.0",
         "k8s.io/minikube/pkg/version.storageProvisionerVersion": "v5"},
        tags="libvirt_dlopen",
        cgo=True,
    ),
    "coredns": Program("github.com/coredns/coredns", "coredns"),
    "registry": Program("github.com/distribution/distribution/v3/cmd/registry", "registry"),
    "metrics-server": Program("sigs.k8s.io/metrics-server/cmd/metrics-server", "metrics-server"),
    "skaffold": Program(
        "github.com/GoogleContainerTools/skaffold/v2/cmd/skaffold",
        "skaffold",
        {"github.com/GoogleContainerTools/skaffold/v2/pkg/skaffold/version.version": f"v{SKAFFOLD}"},
    ),
    "pebble": Program("github.com/letsencrypt/pebble/v2/cmd/pebble", "pebble"),
    "pause": Program("./pause", "pause"),
    "runtime": Program("./runtime", "runtime"),
    "toy": Program("./toy", "toy"),
    "delay": Program("./delay", "delay"),
}  # fmt: skip


def program(name: str) -> Path:
    """The compiled program, made once per content of what it is made from."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{PROGRAMS[name].module}.lock"):  # who warms the cache and who needs it meet here
        if not path.is_file():
            _build(PROGRAMS[name])
    return path


def _path(name: str) -> Path:
    made = PROGRAMS[name]
    module = MODULES[made.module]
    own = (HERE / "programs" / module.own / "main.go").read_bytes() if module.own else b""
    key = hashlib.sha256(repr((made, module)).encode() + own).hexdigest()[:12]
    return CACHE / "programs" / f"{name}-{key}"


def _build(made: Program) -> None:
    """Compile a program, and those linked in the same way with it, so that one is linked while others compile."""
    alike = {name: one for name, one in PROGRAMS.items() if replace(one, package=made.package) == made}
    settings = " ".join(("-s -w", *(f"-X {_variable(place)}={value}" for place, value in made.sets.items())))
    tags = ("-tags", made.tags) if made.tags else ()
    words = ("-trimpath", "-gcflags=all=-dwarf=false", *tags, "-ldflags", settings)  # no debug data: an eighth faster
    with TemporaryDirectory(dir=CACHE) as made_in:
        packages = [one.package for one in alike.values()]
        _go(_module(made.module), "build", *words, "-o", f"{made_in}/", *packages, cgo=made.cgo)
        found = list(Path(made_in).iterdir())
        for name in alike:
            built = found[0] if len(found) == 1 else Path(made_in) / name
            built.replace(_path(name))


def _variable(place: str) -> str:
    head, _, name = place.rpartition("/")
    return place if "." in name else f"{head}.{name}"


def _module(name: str) -> Path:
    """The module's folder, with its go.mod and go.sum complete."""
    module = MODULES[name]
    folder = CACHE / "modules" / f"{name}-{hashlib.sha256(repr(module).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    if module.own:
        (folder / module.own).mkdir(exist_ok=True)
        shutil.copy(HERE / "programs" / module.own / "main.go", folder / module.own)
    if (folder / "ready").exists():
        return folder
    (folder / "go.mod").write_text(f"module lab.local/{name}\n\ngo 1.24.0\n")
    if module.imports:
        lines = "".join(f'\t_ "{path}"\n' for path in module.imports)
        (folder / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\nimport (\n{lines})\n")
        pins = [f"-require={path}@{version}" for path, version in module.requires.items()]
        pins += [f"-replace={path}={path}@{version}" for path, version in module.replaces.items()]
        _go(folder, "mod", "edit", *pins)
        _go(folder, "mod", "tidy")
    (folder / "ready").touch()
    return folder


def _go(folder: Path, *words: str, cgo: bool = False) -> None:
    env = {**os.environ, "CGO_ENABLED": "1" if cgo else "0"}
    done = subprocess.run([GO, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"go {' '.join(words)}", details=f"{done.stdout}{done.stderr}")


if __name__ == "__main__":  # compile everything, so that tests find it
    for _name in PROGRAMS.keys() - {"skaffold"}:
        program(_name)
