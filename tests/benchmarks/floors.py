"""What a change costs without Slipway: the compile in a warm JVM, the start, a bare `docker push`, a bare rollout."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from slipway.images.leiningen import OPTIONS
from tests.benchmarks.measure import command, seconds
from tests.integration.project import lein
from tests.lab.hands import Hands

# All that is loaded stays, others' namespaces too, but for the project's own: those compile again, each time warmer.
COMPILE = """
(require '{main})
(dotimes [_ {times}]
  (let [own (filter #(.startsWith (name (ns-name %)) "helping-hands.") (all-ns))
        names (set (map ns-name own))]
    (dosync (commute @#'clojure.core/*loaded-libs* #(apply disj % names)))
    (run! remove-ns names)
    (let [began (System/nanoTime)]
      (binding [*compile-path* "{classes}"] (compile '{main}))
      (println "compiled" (/ (- (System/nanoTime) began) 1e9)))))
(shutdown-agents)
"""


def compiling(services: Path, service: str, times: int) -> float:
    """Seconds for a service's own namespaces, with the options of its build: the median, in a JVM that has done it before."""
    folder = services / service
    said = lein(folder, "with-profile", "+uberjar", "classpath").splitlines()
    entries = next(line for line in said if ".jar" in line and os.pathsep in line).split(os.pathsep)
    classpath = [entry for entry in entries if not Path(entry).is_relative_to(folder / "target")]
    with TemporaryDirectory() as classes:
        code = COMPILE.format(main=f"helping-hands.{service}.main", times=times + 1, classes=classes)
        options = [*OPTIONS.split(), "-Dclojure.compiler.direct-linking=true", "-cp", os.pathsep.join(classpath)]
        words = ["java", *options, "clojure.main", "-"]
        done = subprocess.run(words, input=code, cwd=folder, capture_output=True, text=True, check=False)
    found = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("compiled ")]
    if done.returncode or len(found) != times + 1:
        raise RuntimeError(f"{service}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return median(found[1:])


def starting(hands: Hands, services: Sequence[str], times: int) -> float:
    """Seconds from the start of the services' own containers, stopped before, until each answers 200: the median."""
    containers = [f"{hands.name}_{service}_01" for service in services]
    found = []
    for _ in range(times):
        command(["docker", "stop", *containers])()
        began = time.perf_counter()
        command(["docker", "start", *containers])()
        for service in services:
            until_ready(f"{hands.url(service)}/health/ready")
        found.append(time.perf_counter() - began)
    return median(found)


def until_ready(url: str) -> None:
    """Wait until a URL answers 200. Raises RuntimeError after a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), urlopen(url, timeout=5):  # noqa: S310  a URL of our own
            return
        time.sleep(0.01)
    raise RuntimeError(f"{url} did not answer 200 within 60 s")


def registry_port() -> str:
    """The port on loopback of the registry beside the Minikube."""
    text = subprocess.check_output(["docker", "port", "slipway-registry", "5000"], text=True)
    return text.split()[0].rpartition(":")[2]


def pushing(hands: Hands, services: Sequence[str], times: int) -> float:
    """Seconds for a `docker push` of each service's image with another app.jar, whose other layers are there: the median."""
    found = []
    for version in range(times + 1):  # the first brings the layers that all share
        tags = [_another(hands, service, version) for service in services]
        try:
            found.append(sum(seconds(command(["docker", "push", "--quiet", tag])) for tag in tags))
        finally:
            command(["docker", "rmi", "--force", *tags])()
    return median(found[1:])


def _another(hands: Hands, service: str, version: int) -> str:
    """A tag of the service's newest image with another app.jar of the same size."""
    listed = ["docker", "images", "--quiet", "--filter", f"reference={hands.name}/{service}:src-*"]
    image = subprocess.check_output(listed, text=True).split()[0]
    tag = f"127.0.0.1:{registry_port()}/{hands.name}/floor-{service}:{version}"
    with TemporaryDirectory() as folder:
        made = subprocess.check_output(["docker", "create", image], text=True).strip()
        try:
            command(["docker", "cp", f"{made}:/app/app.jar", f"{folder}/app.jar"])()
        finally:
            command(["docker", "rm", made])()
        with (Path(folder) / "app.jar").open("ab") as jar:
            jar.write(str(version).encode())
        (Path(folder) / "Dockerfile").write_text(f"FROM {image}\nCOPY app.jar /app/app.jar\n")
        command(["docker", "build", "--quiet", "--tag", tag, folder])()
    return tag


def rolling(hands: Hands, services: Sequence[str], times: int) -> float:
    """Seconds for `kubectl rollout restart` and `status` of the services' deployments: the median."""
    kubectl = ["kubectl", "--context", "minikube", "--namespace", hands.name, "rollout"]
    names = [f"deployment/{service}" for service in services]
    found = []
    for _ in range(times):
        began = time.perf_counter()
        command([*kubectl, "restart", *names])()
        for name in names:
            command([*kubectl, "status", name, "--timeout=180s"])()
        found.append(time.perf_counter() - began)
    return median(found)
