"""Skaffold, which rolls out a service of Helping Hands beside ours, from the same Dockerfile and in the same Minikube."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from slipway.config.load import load
from slipway.images.base_images import tag
from slipway.images.jar import newest, split_jar
from tests.benchmarks.edits import Edit
from tests.benchmarks.floors import registry_port
from tests.benchmarks.measure import command, seconds
from tests.integration.project import ROOT, lein
from tests.lab.hands import Hands
from tests.lab.sources import program

HOSTS = '[host."http://slipway-registry:5000"]\n  capabilities = ["pull", "resolve"]\n'
CONTEXT = "lab"


def environment(home: Path) -> dict[str, str]:
    """The variables that Skaffold runs with: settings of its own, and a cluster like any other.

    Of one that it takes for a Minikube it wants the node's Docker, which a Minikube with containerd has not: it tells one
    by the context's name, and by the program `minikube`.
    """
    programs, config = home / "programs", home / "kubeconfig"
    programs.mkdir(parents=True)
    found = shutil.which("kubectl")
    if not found:
        raise RuntimeError("kubectl is not installed")
    (programs / "kubectl").symlink_to(found)
    words = ["kubectl", "config", "view", "--raw", "--minify", "--flatten", "--context", "minikube"]
    config.touch(mode=0o600)
    config.write_text(subprocess.check_output(words, text=True))
    command(["kubectl", "--kubeconfig", str(config), "config", "rename-context", "minikube", CONTEXT])()
    return {"HOME": str(home), "PATH": str(programs), "KUBECONFIG": str(config)}


def run_words(namespace: str, port: str) -> list[str]:
    """`skaffold run`, by way of the registry at this port of loopback."""
    where = ["--kube-context", CONTEXT, "--namespace", namespace, "--default-repo", f"127.0.0.1:{port}"]
    quiet = ["--interactive=false", "--update-check=false", "--status-check=true"]
    return [str(program("skaffold")), "run", *where, *quiet]


def unstarted() -> set[str]:
    """The ids of the containers that were created and never started."""
    return set(subprocess.check_output(["docker", "ps", "-aq", "--filter", "status=created"], text=True).split())


class Skaffold:
    """A service under another name in the namespace of `hands`: its deployment is ours, as the cluster has it.

    What its users run is `lein uberjar && skaffold run`: both count. The jar is then split as ours is, so that the
    layers are the same; that does not count.
    """

    def __init__(self, hands: Hands, service: str) -> None:
        self.hands, self.service, self.name = hands, service, f"{service}-skaffold"
        self.services = hands.folder / self.name / "services"
        shutil.copytree(ROOT / "services", self.services, ignore=shutil.ignore_patterns("target", ".lein*"))
        self.folder = self.services / service
        self.port = registry_port()
        self._earlier = unstarted()
        self.env = environment(hands.folder / self.name)
        self._let_the_node_pull()
        self._write()

    def changed(self, edit: Edit, version: int) -> float:
        """Seconds from the change of a line to the rollout that Skaffold has verified."""
        edit.write(self.services, version)
        began = time.perf_counter()
        said = lein(self.folder, "uberjar")
        took = time.perf_counter() - began
        jar = newest([self.folder / "target"], time.time() - took - 2)
        if jar is None:
            raise RuntimeError(f"Leiningen made no jar:\n{said[-3000:]}")
        self._split(jar)
        took += seconds(command(run_words(self.hands.name, self.port), self.folder, self.env))
        edit.require_answer_at(self._url(), self.hands, version)
        return took

    def close(self) -> None:
        """Remove its objects, so that its copies take no CPU from what is measured next."""
        names = [f"{kind}/{self.name}" for kind in ("deployment", "service", "configmap", "secret")]
        self.hands.kubectl("delete", "--ignore-not-found", *names)
        listed = ["docker", "images", "--quiet", "--filter", f"reference=127.0.0.1:{self.port}/{self.name}"]
        if images := set(subprocess.check_output(listed, text=True).split()):
            command(["docker", "rmi", "--force", *images])()
        if steps := unstarted() - self._earlier:  # its builds leave the container of each step
            command(["docker", "rm", *steps])()

    def _let_the_node_pull(self) -> None:
        """Make the node find at the registry's own name what is pushed to its port on loopback."""
        folder = f"/etc/containerd/certs.d/127.0.0.1:{self.port}"
        words = ["docker", "exec", "-i", "minikube", "sh", "-c", f"mkdir -p {folder} && cat >{folder}/hosts.toml"]
        subprocess.run(words, input=HOSTS, text=True, check=True)

    def _split(self, jar: Path) -> None:
        sources = [
            path.relative_to(root)
            for root in (self.folder / "src", self.services / "shared" / "src")
            for path in root.rglob("*.clj")
        ]
        place = self.folder / "target" / "slipway"
        place.mkdir(exist_ok=True)
        for name, content in zip(("deps.jar", "app.jar"), split_jar(jar, sources), strict=True):
            (place / name).write_bytes(content)

    def _write(self) -> None:
        """Write its configuration, and the objects that are there before: settings and secrets under their own names."""
        deployment = self._object("deployment", self.service)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        container["image"] = self.name
        for source in container.get("envFrom", []):
            for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
                if key in source:
                    self._apply(self._object(kind, source[key]["name"]))
                    source[key]["name"] = self.name
        service = self._object("service", self.service)
        for name in ("clusterIP", "clusterIPs"):
            service["spec"].pop(name, None)
        for labels in (
            deployment["spec"]["selector"]["matchLabels"],
            deployment["spec"]["template"]["metadata"]["labels"],
            service["spec"]["selector"],
        ):
            labels.clear()
            labels["app"] = self.name
        deployment["spec"]["template"]["metadata"].pop("annotations", None)
        documents = map(json.dumps, (deployment, service))  # JSON is YAML
        (self.folder / "objects.yaml").write_text("\n---\n".join(documents) + "\n")
        config = load(ROOT)
        base = tag("clojure", config.images.bases["clojure"])
        built = {"image": self.name, "context": ".", "docker": {"buildArgs": {"BASE": base}}}
        settings = {
            "apiVersion": "skaffold/v4beta13",
            "kind": "Config",
            "build": {
                "artifacts": [built],
                "tagPolicy": {"inputDigest": {}},
                "local": {"push": True, "useBuildkit": False, "useDockerCLI": False},
            },
            "manifests": {"rawYaml": ["objects.yaml"]},
            "deploy": {"statusCheckDeadlineSeconds": 180, "kubectl": {}},
        }
        (self.folder / "skaffold.yaml").write_text(json.dumps(settings))

    def _object(self, kind: str, name: str) -> dict[str, Any]:
        """An object of ours under this name, without what the cluster and Slipway say of it."""
        found: dict[str, Any] = json.loads(self.hands.kubectl("get", kind, name, "--output=json"))
        found.pop("status", None)
        found["metadata"] = {"name": self.name, "namespace": self.hands.name}
        return found

    def _apply(self, found: dict[str, Any]) -> None:
        words = ["kubectl", "--context", "minikube", "apply", "-f", "-"]
        subprocess.run(words, input=json.dumps(found), text=True, check=True, capture_output=True, env=dict(os.environ))

    def _url(self) -> str:
        return self.hands.url(self.name)
