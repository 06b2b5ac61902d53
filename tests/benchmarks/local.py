"""What is waited for on this machine beside deploys: the tasks' list, `up` and `build` with nothing to do, a service's start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from slipway.config.load import load
from slipway.hosts.apt import parse_records
from slipway.hosts.local import LocalHost
from slipway.images.base_images import tag
from slipway.images.image import version_tag
from tests.benchmarks.floors import until_ready
from tests.benchmarks.measure import NO_BAR, Row, command, in_turn

ROOT = Path(__file__).resolve().parents[2]


def rows() -> Iterator[Row]:
    """The list of tasks against bare Invoke with one task; a no-op `up` against what Docker alone needs to answer."""
    invoke = str(ROOT / "invoke")
    with TemporaryDirectory() as folder:
        task = "from invoke import task\n\n\n@task\ndef nothing(c):\n    pass\n"
        (Path(folder) / "tasks.py").write_text(task)
        bare = command([str(Path(sys.executable).with_name("invoke")), "--list"], Path(folder))
        ours, theirs = in_turn(command([invoke, "--list"]), bare, 15)
    yield Row("./invoke --list", ours, 1.2, "invoke --list", theirs)
    command([invoke, "up"])()
    ours, _ = in_turn(command([invoke, "up"]), command(["docker", "ps"]), 7)
    yield Row("./invoke up, nothing to do", ours, 1.5)
    ours, _ = in_turn(command([invoke, "build", "--service", "auth"]), command(["docker", "ps"]), 7)
    listing, _ = in_turn(command([invoke, "env.list"]), command(["docker", "ps"]), 7)
    yield Row("./invoke build, nothing to do, a service", max(0.0, ours - listing), 0.1)
    yield from image_rows()


def image_rows() -> Iterator[Row]:
    """Our image beside a plain one: Leiningen's jar, `java -jar`, the same base, no class data."""
    config, project = load(ROOT), f"bench{os.getpid()}"
    ours, plain = (version_tag(project, "auth", name) for name in (config.services["auth"].version, "plain"))
    with TemporaryDirectory() as folder:
        (Path(folder) / "slipway.yaml").write_text(f"name: {project}\nshort: {project}\n")
        command([str(ROOT / "invoke"), "image", "--service", "auth", "--settings", folder])()
        (jar,) = (ROOT / "services/auth/target").rglob("auth-*-standalone.*.jar")
        (Path(folder) / "app.jar").write_bytes(jar.read_bytes())
        shutil.copytree(ROOT / "services/auth/config", Path(folder) / "config")
        (Path(folder) / "Dockerfile").write_text(
            f"FROM {tag('clojure', config.images.bases['clojure'])}\nCOPY app.jar /app/app.jar\n"
            "COPY config/conf.edn /app/config/conf.edn\n"
            'ENTRYPOINT ["java", "-Dconf=/app/config/conf.edn", "-jar", "/app/app.jar"]\n'
        )
        command(["docker", "build", "--quiet", "--tag", plain, folder])()
    try:
        pairs = [(first_answer(ours), first_answer(plain)) for _ in range(5)]
        mine, theirs = (median(column) for column in zip(*pairs, strict=True))
        yield Row("auth: first 200 of a new container", mine, 1.0)
        yield Row("auth: the same, beside", mine, 0.8, "lein uberjar, plain Dockerfile", theirs)
        sizes = [int(subprocess.check_output(["docker", "inspect", "-f", "{{.Size}}", i])) / 1e6 for i in (ours, plain)]
        yield Row("auth: image, its class data with it", sizes[0], 0.9, *jre_package(), unit="MB")
        yield Row("lein uberjar, plain Dockerfile: image", sizes[1], NO_BAR, unit="MB")
    finally:
        mine = subprocess.check_output(["docker", "images", "-q", "--filter", f"reference={project}/auth"], text=True)
        command(["docker", "rmi", "--force", *set(mine.split())])()


def jre_package() -> tuple[str, float]:
    """Debian's package of the JRE alone that our base image has the modules of, and what it takes when installed, in MB.

    That is its Installed-Size, in KiB (deb-control(5)).
    """
    kit = LocalHost().probe.facts().jdk(load(ROOT).tools.java.minimum)
    name = f"openjdk-{kit.major if kit else 0}-jre-headless"
    shown = subprocess.check_output(["apt-cache", "show", "--no-all-versions", name], text=True)
    return name, int(next(iter(parse_records(shown)))["Installed-Size"]) * 1024 / 1e6


def first_answer(image: str) -> float:
    """Seconds from a container's start until it answers 200, on its memory limit."""
    limits = ["--read-only", "--tmpfs", "/tmp", "--memory", "256m", "--env", f"AUTH_KEY={'A' * 22}"]
    made = subprocess.check_output(["docker", "create", *limits, "--publish", "127.0.0.1::8080", image], text=True)
    name = made.strip()
    try:
        began = time.perf_counter()
        command(["docker", "start", name])()
        where = subprocess.check_output(["docker", "port", name, "8080"], text=True).split()[0]
        until_ready(f"http://{where}/health/ready")
        return time.perf_counter() - began
    finally:
        command(["docker", "rm", "--force", name])()
