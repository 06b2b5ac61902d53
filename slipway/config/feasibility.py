"""What can't work of a service as an environment has it: Docker or Kubernetes would refuse it, or data would suffer.

These rules are not the models' own: what an earlier version has deployed and recorded must still be read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from slipway.config.document import Keys
from slipway.config.models import Service
from slipway.config.quantity import parse_bytes, parse_cpus

MEMORY = 6 * 2**20  # bytes: Docker's smallest limit (docs.docker.com, "Resource constraints")
VOLUME = 2**20  # bytes: anything below is a size whose unit was forgotten
CPUS = 100  # of one copy: anything above was meant in thousandths
SYSTEM = ("/proc", "/sys", "/dev")  # where a container's kernel mounts its own


@dataclass(frozen=True)
class Fault:
    """What is wrong with the value at `keys` of a service's file, and a hint."""

    keys: Keys
    summary: str
    hint: str


def faults(service: Service) -> Iterator[Fault]:
    """Every fault of a service that has an environment's overrides, or none."""
    yield from _copies(service)
    yield from _storage(service)
    yield from _resources(service)
    yield from _limits(service)
    if service.smoke.reuse and service.storage and not service.smoke.snapshot:
        summary = "smoke.reuse: a test would see the data of the one before it in this service's storage"
        yield Fault(("smoke", "reuse"), summary, "give `snapshot` and `restore`, the commands that make it fresh")
    for probe in ("ready", "live"):
        path = getattr(service.health, probe, None)
        if path is not None and not re.fullmatch(r"/\S*", path):
            yield Fault(
                ("health", probe), f"health.{probe}: '{path}' is not a path of a URL", "for example /health/ready"
            )
    for name, value in service.env.items():
        if not name or re.search(r"[=\0\s]", name):
            yield Fault(("env", name), f"env: '{name}' can't be the name of a variable", "letters, digits and _")
        if "\0" in value:
            yield Fault(("env", name), f"env.{name} holds a NUL, which no variable can", "remove it")


def _copies(service: Service) -> Iterator[Fault]:
    scale = service.autoscale
    if scale and scale.max < service.replicas:
        summary = f"autoscale.max is {scale.max}, which is less than replicas: {service.replicas}"
        yield Fault(("autoscale", "max"), summary, f"max: {service.replicas} or more, or fewer replicas")
    if service.storage and (scale or service.replicas > 1):
        what = "autoscale" if scale else f"replicas: {service.replicas}"
        summary = f"{what} can't go with storage: the copies would write to the same files"
        yield Fault(
            ("autoscale" if scale else "replicas",), summary, "remove `autoscale`, use `replicas: 1`, or no storage"
        )


def _storage(service: Service) -> Iterator[Fault]:
    taken = {"/tmp": "the container's own /tmp"}  # noqa: S108  the container's
    for name, storage in service.storage.items():
        path = posixpath.normpath(f"/{storage.path.lstrip('/')}")
        where = f"storage.{name}.path"
        if name == "tmp":
            summary = "storage can't be named tmp: the volume for /tmp has that name"
            yield Fault(("storage", name), summary, "for example `data`")
        if re.search(r"[:,\0\n]", path):
            summary = f"{where} has a `:`, `,` or newline, which a volume's path can't have"
            yield Fault(("storage", name, "path"), summary, "use another folder")
        elif path == "/" or path.startswith(tuple(f"{system}/" for system in SYSTEM)) or path in SYSTEM:
            yield Fault(("storage", name, "path"), f"{where}: {path} can't be a volume", "for example /var/lib/data")
        elif path in taken:
            yield Fault(("storage", name, "path"), f"{where}: {path} is already {taken[path]}", "use another folder")
        taken.setdefault(path, f"that of storage {name}")
        if parse_bytes(storage.size) < VOLUME:
            yield _too_small(("storage", name, "size"), storage.size, "a volume", "1Mi")


def _resources(service: Service) -> Iterator[Fault]:
    cpu, memory = service.resources.cpu, service.resources.memory
    if parse_bytes(memory) < MEMORY:
        yield _too_small(("resources", "memory"), memory, "a container", "6Mi")
    if parse_cpus(cpu) >= CPUS:
        hint = f"{cpu}m, if thousandths are meant" if cpu.isdigit() else "1000m is one CPU"
        yield Fault(("resources", "cpu"), f"resources.cpu: {cpu} CPUs for one copy", hint)
    if parse_cpus(cpu) < 0.001:  # Kubernetes' smallest, 1m
        yield Fault(("resources", "cpu"), f"resources.cpu: {cpu} is less than 1m", "at least 1m, a thousandth of a CPU")


def _limits(service: Service) -> Iterator[Fault]:
    """A limit below the request, which Kubernetes refuses."""
    asked, limits = service.resources, service.resources.limits
    hint = "a limit is what a copy may use at most, above what it requests"
    if limits.memory and parse_bytes(limits.memory) < parse_bytes(asked.memory):
        summary = f"resources.limits.memory: {limits.memory} is less than resources.memory: {asked.memory}"
        yield Fault(("resources", "limits", "memory"), summary, hint)
    if limits.cpu and parse_cpus(limits.cpu) < parse_cpus(asked.cpu):
        summary = f"resources.limits.cpu: {limits.cpu} is less than resources.cpu: {asked.cpu}"
        yield Fault(("resources", "limits", "cpu"), summary, hint)


def _too_small(keys: Keys, size: str, what: str, least: str) -> Fault:
    hint = f"with a unit: {size}Mi" if size.isdigit() else f"at least {least}"
    return Fault(
        keys, f"{'.'.join(map(str, keys))}: {size} is {parse_bytes(size)} bytes, and {what} needs {least}", hint
    )
