"""All services of Helping Hands made from nothing and removed with their data, again and again, here and on a Minikube."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.docker.labels import LABEL
from tests.benchmarks.measure import Row, command, seconds
from tests.lab import bundle, machines
from tests.lab.hands import Hands

TIMES = {"local": 20, "minikube": 5}
KINDS = (  # leases are not: a lock stays until it expires
    "deployments,pods,services,configmaps,secrets,jobs,persistentvolumeclaims,persistentvolumes,poddisruptionbudgets,"
    "horizontalpodautoscalers"
)


def rows() -> Iterator[Row]:
    """The times that `up` or `down --purge` failed or left something, in each environment; the slowest `up`."""
    with TemporaryDirectory() as text:
        folder = Path(text)
        for where, times in TIMES.items():
            (folder / where).mkdir()
            hands = Hands(folder / where, where)
            if where == "minikube":
                machines.register()
                command(hands.command("setup", "--bundle", str(bundle.make(folder / "bundle"))))()
            try:
                yield from soaked(hands, times)
            finally:
                hands.invoke("down", "--purge")
                hands.purge()


def soaked(hands: Hands, times: int) -> Iterator[Row]:
    """Rows of so many rounds; the images are made before the first."""
    command(hands.command("image"))()
    faults, slowest = [], 0.0
    for number in range(1, times + 1):
        try:
            slowest = max(slowest, seconds(command(hands.command("up"))))
        except RuntimeError as error:
            faults.append(f"round {number}: {error}")
        try:
            command(hands.command("down", "--purge"))()
        except RuntimeError as error:
            faults.append(f"round {number}: {error}")
        faults += [f"round {number}: {one} is left" for one in left(hands)]
    name = f"up and down --purge of all services, {times} times on {hands.where}"
    yield Row(name, len(faults), 0, unit="faults", notes=tuple(faults))
    yield Row("  the slowest up", slowest, 180.0)


def left(hands: Hands) -> list[str]:
    """What is there of the project, images apart."""
    if hands.where == "minikube":
        return hands.kubectl(
            "get", KINDS, "--selector", f"app.kubernetes.io/part-of={hands.name}", "-o", "name"
        ).split()
    chosen = ("--filter", f"label={LABEL}={hands.name}")
    listings = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [
        f"{kind[0]} {found}"
        for kind in listings
        for found in subprocess.check_output(["docker", *kind, "--quiet", *chosen], text=True).split()
    ]
