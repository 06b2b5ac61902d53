"""What a developer waits for all day: one changed line to a verified release, nothing changed, everything from cold."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.edits import AUTH, ORDER, SHARED, Edit, developed
from tests.benchmarks.floors import compiling, pushing, rolling, starting
from tests.benchmarks.measure import NO_BAR, Load, Row, command, in_turn, load, seconds
from tests.benchmarks.skaffold import Skaffold
from tests.integration.project import ROOT
from tests.lab.hands import SERVICES, Hands

ONE_SERVICE = (  # what a line is changed in, its bar, what is aimed at: seconds
    ("one line in auth, to a verified release", AUTH, 8.0, 5.0),
    ("one line in order, to a verified release", ORDER, 14.0, 8.0),
)
CHANGES = (*ONE_SERVICE, ("one line in shared code, all six verified", SHARED, 40.0, 25.0))
PAUSE = 8  # seconds from a release to the next line: less than a person needs, enough for the next compiler to start
FASTER, AIM = 1.3, 2.0  # Skaffold's time, divided by ours
CORES = os.cpu_count() or 1


def rows(times: int) -> Iterator[Row]:
    """Here, then on the Minikube of the lab, which then takes its share of the processors. Medians of so many."""
    yield from cold_rows(times)
    with developed("local") as hands:
        compiles = {service: compiling(hands.services, service, times) for service in SERVICES}
        nothing, docker = in_turn(command(hands.command("deploy")), command(["docker", "ps"]), times)
        yield from local_changes(hands, compiles, times)
    with developed("minikube") as hands:
        asked = ["kubectl", "--context", "minikube", "--namespace", hands.name, "get", "deployments,pods,secrets"]
        ours, bare = in_turn(command(hands.command("deploy")), command(asked), times)
        yield Row("nothing changed: deploy, local", nothing, 0.45, aim=5 * bare)
        yield Row("  its floor: docker ps", docker, NO_BAR)
        yield Row("nothing changed: deploy, cluster", ours, 0.6, aim=5 * bare)
        yield Row("  its floor: kubectl get", bare, NO_BAR)
        yield from cluster_changes(hands, compiles, times)


def local_changes(hands: Hands, compiles: Mapping[str, float], times: int) -> Iterator[Row]:
    """A changed line on this machine's Docker. `compiles` are seconds by service."""
    for name, edit, bar, aim in CHANGES:
        yield Row(f"{name}, local", changed(hands, edit, times), bar, aim=aim)
        starts = starting(hands, edit.services, times)
        yield from floors({"compile in a warm JVM": compile_of(edit, compiles), "start": starts})


def cluster_changes(hands: Hands, compiles: Mapping[str, float], times: int) -> Iterator[Row]:
    """A changed line of one service on the Minikube, beside Skaffold. `compiles` are seconds by service."""
    for name, edit, bar, aim in ONE_SERVICE:
        ours, theirs = beside(hands, edit, times)
        yield Row(f"{name}, cluster", ours, bar, aim=aim)
        parts = {
            "compile in a warm JVM": compile_of(edit, compiles),
            "docker push": pushing(hands, edit.services, times),
            "kubectl rollout": rolling(hands, edit.services, times),
        }
        yield from floors(parts)
        if edit is AUTH:
            yield Row("  beside lein uberjar, skaffold run", ours, 1 / FASTER, "Skaffold", theirs, aim=1 / AIM)
        else:
            yield Row("  lein uberjar, skaffold run", theirs, NO_BAR)


def changed(hands: Hands, edit: Edit, times: int) -> float:
    """Seconds from another line to its verified release: the median, after one to warm up."""
    return median([_change(hands, edit, version) for version in range(times + 1)][1:])


def _change(hands: Hands, edit: Edit, version: int) -> float:
    time.sleep(PAUSE)
    edit.write(hands.services, version)
    names = () if edit.services == SERVICES else edit.services
    took = seconds(command(hands.command("deploy", *names)))
    edit.require_answer(hands, version)
    return took


def beside(hands: Hands, edit: Edit, times: int) -> tuple[float, float]:
    """Ours, and Skaffold's of the same line, in turn: medians, after one each to warm up."""
    peer = Skaffold(hands, edit.services[0])
    try:
        pairs = [(_change(hands, edit, version), peer.changed(edit, version)) for version in range(times + 1)]
    finally:
        peer.close()
    ours, theirs = zip(*pairs[1:], strict=True)
    return median(ours), median(theirs)


def compile_of(edit: Edit, compiles: Mapping[str, float]) -> float:
    """The seconds of the compiles that an edit needs, spread over all cores."""
    together = sum(compiles[service] for service in edit.services)
    return together / min(CORES, len(edit.services))


def floors(parts: Mapping[str, float]) -> Iterator[Row]:
    """A row for each part of a floor, and for their sum."""
    for name, took in parts.items():
        yield Row(f"  its floor: {name}", took, NO_BAR)
    yield Row("  its floor, all of that", sum(parts.values()), NO_BAR)


def cold_rows(times: int) -> Iterator[Row]:
    """Jars, images and smoke tests of all services, made of nothing but the bases and downloaded packages: medians."""
    command([str(ROOT / "invoke"), "image"])()  # the bases
    loads = [cold(f"bench{os.getpid()}-{number}") for number in range(times)]
    took = median(one.seconds for one in loads)
    cpu = median(one.cpu for one in loads) / CORES
    yield Row("everything from cold: jar, image, smoke", took, 60.0, aim=cpu)
    yield Row("  the same, beside", took, 1.6, f"CPU seconds / {CORES}", cpu)
    yield Row("  memory at its peak", max(one.memory for one in loads) / 2**30, 4.0, unit="GiB")


def cold(project: str) -> Load:
    """The load of one `smoke` of all services, under the name of a project that nobody has; removed behind it."""
    with TemporaryDirectory() as folder:
        services, settings = Path(folder) / "services", Path(folder) / "settings"
        settings.mkdir()
        (settings / "slipway.yaml").write_text(f"name: {project}\nshort: {project}\n")
        shutil.copytree(ROOT / "services", services, ignore=shutil.ignore_patterns("target", ".lein*"))
        flags = ("--settings", str(settings), "--services", str(services))
        try:
            return load(command([str(ROOT / "invoke"), "smoke", "--env", "local", *flags]))
        finally:
            command([str(ROOT / "invoke"), "down", "--purge", "--env", "local", *flags])()
            found = ["docker", "images", "-q", "--filter", f"reference={project}/*"]
            images = set(subprocess.check_output(found, text=True).split())
            command(["docker", "rmi", "--force", *images])()
