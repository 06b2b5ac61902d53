"""Random walks over the commands of a day, longer than a test may be, here and on the Minikube; each has a new seed."""

from __future__ import annotations

import os
import secrets
import traceback
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.measure import Row, command
from tests.integration.walk import Services, walk
from tests.integration.walk_local import LocalServices
from tests.lab import bundle, machines
from tests.lab.walk_cluster import ClusterServices

WALKS = 4  # in each environment
LOCAL, CLUSTER = 50, 20  # commands of a walk


def rows() -> Iterator[Row]:
    """What walks on `local` and on a Minikube find. SLIPWAY_SEED repeats one that a row names."""
    with TemporaryDirectory() as text:
        folder = Path(text)
        local = LocalServices(folder / "local")
        try:
            yield walked(local, LOCAL)
        finally:
            local.purge()
        machines.register()
        cluster = ClusterServices(folder / "cluster")
        cluster.service.parent.mkdir()
        made = bundle.make(folder / "bundle")
        command(cluster.command("setup", "--bundle", str(made)))()
        try:
            yield walked(cluster, CLUSTER)
        finally:
            cluster.close()


def walked(services: Services, steps: int) -> Row:
    """A row of walks of so many steps: the first fault ends them, and its seed says how to see it again."""
    seed = int(os.environ.get("SLIPWAY_SEED") or secrets.randbelow(10**6))
    faults: tuple[str, ...] = ()
    try:
        walk(services, WALKS, steps, seed)
    except Exception:  # noqa: BLE001  a fault is what is looked for
        faults = (traceback.format_exc(),)
    name = f"{WALKS} walks of {steps} steps on {services.where}, seed {seed}"
    return Row(name, len(faults), 0, unit="faults", notes=faults)
