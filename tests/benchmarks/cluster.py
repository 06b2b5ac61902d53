"""What a deploy to a cluster moves, and what one leaves behind that is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.measure import Row, command, seconds
from tests.lab import bundle, machines
from tests.lab.toys import Toys

KILLS = 20


def rows() -> Iterator[Row]:
    """What the registry gets of a change, beside a bare `docker push`; what deploys that are killed leave behind."""
    with TemporaryDirectory() as folder:
        machines.register()
        toys = Toys(Path(folder) / "toys")
        made = bundle.make(Path(folder) / "bundle")
        command(toys.command("setup", "--bundle", str(made)))()
        try:
            command(toys.command("deploy"))()
            moved = []
            for version in range(3):
                toys.write(note=f"version {version}")
                before = received()
                command(toys.command("deploy"))()
                moved.append(received() - before)
            yield Row("what the registry receives of a change", median(moved) / 1e6, 1.0, unit="MB")
            took, least = floor_of_a_change(toys)
            yield Row("  its floor: docker push, time", took, 5.0)
            yield Row("  its floor: docker push, what the registry received", least / 1e6, 1.0, unit="MB")
            killed = [toys.killed((number + 0.5) / KILLS) for number in range(KILLS)]
            alive, faults = sum(one.alive for one in killed), tuple(fault for one in killed for fault in one.faults)
            yield Row(f"kill -9 of a deploy, {alive} times", len(faults), 0, unit="faults", notes=faults)
            yield Row("  deploys that had ended before", KILLS - alive, KILLS // 4, unit=f"of {KILLS}")
        finally:
            toys.invoke("down", "--purge")
            toys.kubectl("delete", "namespace", toys.name, "--wait=false")
            toys.purge()


def floor_of_a_change(toys: Toys) -> tuple[float, float]:
    """Seconds and bytes that a bare `docker push` of a changed image takes, whose other layers are there: medians."""
    port = subprocess.check_output(["docker", "port", "slipway-registry", "5000"], text=True).split(":")[1].split()[0]
    tag, found = f"127.0.0.1:{port}/{toys.name}/floor:1", []
    try:
        for version in range(4):
            toys.write(note=f"floor {version}")
            command(["docker", "build", "--quiet", "--tag", tag, str(toys.service)])()
            before = received()
            found.append((seconds(command(["docker", "push", "--quiet", tag])), received() - before))
    finally:
        command(["docker", "rmi", "--force", tag])()
    times, sizes = zip(*found[1:], strict=True)  # the first brings the layers that all share
    return median(times), median(sizes)


def received() -> int:
    """The bytes that the registry's own interface has received."""
    pid = subprocess.check_output(["docker", "inspect", "-f", "{{.State.Pid}}", "slipway-registry"], text=True).strip()
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    return sum(int(line.split(":")[1].split()[0]) for line in lines if ":" in line and "lo:" not in line)
