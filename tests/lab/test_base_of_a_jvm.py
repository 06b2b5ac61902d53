"""The base made by jlink: a JVM in it is in UTF-8, with the classes and libraries of the image that it stands in for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.docker.daemon import DockerDaemon
from slipway.engine.reporter import null_reporter
from slipway.hosts.local import LocalHost
from slipway.images import base_recipes
from tests.integration.project import ROOT

pytestmark = pytest.mark.lab

TAG = "slipway-test/base-clojure:1"
PROGRAM = """
class Told {
    public static void main(String[] words) throws Exception {
        com.sun.net.httpserver.HttpServer.create();
        java.util.Locale.getAvailableLocales();
        java.nio.charset.Charset.forName("windows-31j");
        System.out.println(System.getProperty("native.encoding") + " " + System.getenv("SECRET").length() + " \\u65e5");
    }
}
"""
LOAD = 'class Load { public static void main(String[] words) { System.load("/told/libnothing.so"); } }'


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    host, config = LocalHost(), load(ROOT)
    facts = host.probe.facts()
    kit = facts.jdk(config.tools.java.minimum)
    if facts.kernel != "Linux" or kit is None:
        pytest.skip("the recipe needs Linux and a JDK")
    with ExitStack() as closing:
        daemon = DockerDaemon(host, closing)
        entry = config.images.bases["clojure"].model_copy(update={"upstream": None})
        made = base_recipes.provide(host, daemon, facts, kit, "clojure", entry, null_reporter())
        daemon.images.tag(made, TAG)
        yield TAG
        daemon.images.untag(TAG)


def test_a_jvm_is_in_utf_8_and_reads_a_secret_as_it_is(image: str, tmp_path: Path) -> None:
    (tmp_path / "Told.java").write_text(PROGRAM)
    subprocess.run(["javac", "Told.java"], cwd=tmp_path, check=True)
    tmp_path.chmod(0o755)
    mount = ["--volume", f"{tmp_path}:/told:ro", "--env", "SECRET=schl\u00fcssel"]
    told = subprocess.run(
        ["docker", "run", "--rm", "--read-only", *mount, image, "java", "-cp", "/told", "Told"],
        check=True,
        capture_output=True,
    )
    assert told.stdout.decode() == "UTF-8 9 \u65e5\n"


def test_a_library_of_an_older_c_library_is_loaded(image: str, tmp_path: Path) -> None:
    """It names the parts of the C library that are in libc.so.6 since glibc 2.34, and C++'s library."""
    (tmp_path / "Load.java").write_text(LOAD)
    subprocess.run(["javac", "Load.java"], cwd=tmp_path, check=True)
    (tmp_path / "nothing.c").write_text("int nothing;")
    names = ["-l:libpthread.so.0", "-l:libdl.so.2", "-l:librt.so.1", "-l:libstdc++.so.6"]
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", "libnothing.so", "nothing.c", "-Wl,--no-as-needed", *names],
        cwd=tmp_path,
        check=True,
    )
    tmp_path.chmod(0o755)
    loading = ["docker", "run", "--rm", "--volume", f"{tmp_path}:/told:ro", image, "java", "-cp", "/told", "Load"]
    done = subprocess.run(loading, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
