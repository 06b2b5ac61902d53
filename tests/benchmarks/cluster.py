"""What a developer waits for on a cluster: a deploy with nothing to do, a changed line, the bytes that it moves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.measure import Row, command, in_turn, seconds
from tests.lab import bundle, machines
from tests.lab.toys import Toys

KILLS = 20


def rows() -> Iterator[Row]:
    """A no-op deploy beside a bare `kubectl get`; a change of sources to a verified rollout; what the registry got."""
    with TemporaryDirectory() as folder:
        machines.register()
        toys = Toys(Path(folder) / "toys")
        made = bundle.make(Path(folder) / "bundle")
        command(toys.command("setup", "--bundle", str(made)))()
        try:
            command(toys.command("deploy"))()
            bare = ["kubectl", "--context", "minikube", "--namespace", toys.name, "get", "deployments,pods,secrets"]
            ours, floor = in_turn(command(toys.command("deploy")), command(bare), 7)
            yield Row("deploy to a cluster, nothing to do", ours, 1.0)
            yield Row("  its floor: kubectl get", floor, 1.0)
            times, moved = [], []
            for version in range(3):
                toys.write(note=f"version {version}")
                before = received()
                times.append(seconds(command(toys.command("deploy"))))
                moved.append(received() - before)
            yield Row("a change of sources to a verified rollout", sorted(times)[1], 25.0)
            yield Row("  what the registry received", sorted(moved)[1] / 1e6, 1.0, unit="MB")
            faults = [fault for attempt in range(KILLS) for fault in toys.killed(attempt, 12)]
            yield Row(f"kill -9 of a deploy at {KILLS} moments", len(faults), 0, unit="faults", notes=tuple(faults))
        finally:
            toys.invoke("down", "--purge")
            toys.kubectl("delete", "namespace", toys.name, "--wait=false")
            toys.purge()


def received() -> int:
    """The bytes that the registry's own interface has received."""
    pid = subprocess.check_output(["docker", "inspect", "-f", "{{.State.Pid}}", "slipway-registry"], text=True).strip()
    lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    return sum(int(line.split(":")[1].split()[0]) for line in lines if ":" in line and "lo:" not in line)
