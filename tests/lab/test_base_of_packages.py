"""The base made of Debian's packages: PostgreSQL runs in it as containers run here."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.daemon import DockerDaemon
from slipway.engine.reporter import null_reporter
from slipway.hosts.local import LocalHost
from slipway.images import base_recipes
from slipway.installers.bundle_create import BundleBuilder
from tests.integration.project import ROOT

pytestmark = pytest.mark.lab

DATA = "/var/lib/postgresql"
START = f"initdb --pgdata={DATA}/data --auth=trust --locale=C.UTF-8 && exec postgres -D {DATA}/data -k /tmp"
TAG = "slipway-test/base-postgres:1"


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    host = LocalHost()
    facts = host.probe.facts()
    if facts.family not in {"debian", "ubuntu"}:
        pytest.skip("the recipe needs Debian's packages")
    with ExitStack() as closing:
        daemon = DockerDaemon(host, closing)
        entry = load(ROOT).images.bases["postgres"]
        made = base_recipes.provide(host, daemon, facts, None, "postgres", entry, null_reporter())
        daemon.images.tag(made, TAG)
        yield TAG
        daemon.images.untag(TAG)


def test_postgres_keeps_its_data_without_root_and_on_a_read_only_root(image: str) -> None:
    name = f"t{secrets.token_hex(4)}"
    with ExitStack() as closing:
        daemon = DockerDaemon(LocalHost(), closing)
        daemon.volumes.create(name, {})
        closing.callback(daemon.volumes.remove, name)
        derived = subprocess.run(
            ["docker", "build", "--quiet", "-"],
            input=f'FROM {image}\nENTRYPOINT ["/bin/sh", "-c", "{START}"]\n',
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        closing.callback(daemon.images.untag, derived)
        container = daemon.containers.create(ContainerSpec(name, derived, volumes={name: DATA}, memory=256 * 2**20))
        closing.callback(daemon.containers.remove, container)
        daemon.containers.start(container)
        ready = "for i in $(seq 100); do pg_isready -h 127.0.0.1 -q && exit 0; usleep 200000; done; exit 1"
        exit_code, said = daemon.io.execute(container, ["/bin/sh", "-c", ready], null_reporter())
        assert exit_code == 0, "\n".join(daemon.io.logs(container, 50, follow=False))
        ask = ["psql", "--host=/tmp", "--tuples-only", "--no-align", "postgres", "--command"]
        assert daemon.io.execute(container, [*ask, "show server_encoding"], null_reporter()) == (0, "UTF8\n")
        rome = "select now() at time zone 'Europe/Rome' is not null"
        assert daemon.io.execute(container, [*ask, rome], null_reporter()) == (0, "t\n")
        assert daemon.io.execute(container, ["id", "-u"], null_reporter()) == (0, "10001\n")
        exit_code, said = daemon.io.execute(container, ["touch", "/usr/bin/new"], null_reporter())
        assert exit_code != 0, said


def test_dockers_packages_of_this_machine_are_whole_and_leave_out_what_every_machine_has(tmp_path: Path) -> None:
    with ExitStack() as closing:
        platform = LocalHost().probe.facts().platform
        made = BundleBuilder(
            load(ROOT), LocalHost(), DockerDaemon(LocalHost(), closing), platform, tmp_path, lambda name, _: name
        )
        found = {file.name: file for file in made.packages(null_reporter())}
    assert {"docker.io", "containerd", "runc", "iptables"} <= set(found)
    assert not {"libc6", "bash", "dpkg"} & set(found)
    files = [str(tmp_path / file.path) for file in found.values()]
    for file in files:
        subprocess.run(["dpkg-deb", "--info", file], check=True, capture_output=True)
    empty = ("-o", "Dir::Etc::SourceList=/dev/null", "-o", "Dir::Etc::SourceParts=/dev/null")
    plan = subprocess.run(
        ["apt-get", "--simulate", *empty, "install", *files], capture_output=True, text=True, check=False
    )
    assert plan.returncode == 0, plan.stdout + plan.stderr
