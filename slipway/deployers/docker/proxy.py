"""The proxy in front of a service's container: HAProxy, by which a new container takes over without a gap.

It asks the container that has the serving one's name in Docker's DNS (`haproxy.cfg`), so what it does follows from the
names of containers alone, also when it is restarted. Its control socket is on its own loopback: who may use that may
use Docker.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.config.models import Health, Service
from slipway.deployers.docker.evidence import evidence
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL, ROLE, SERVICE, Names
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container, State
from slipway.engine.reporter import Reporter
from slipway.errors import Problem

PROXY = "proxy"  # the role of its container
CONFIGURATION = Path(__file__).with_name("haproxy.cfg")
START = 'printf "%s" "$HAPROXY_CFG" >/tmp/haproxy.cfg && exec haproxy -db -f /tmp/haproxy.cfg'
ASK = 'printf "%s\\n" "$1" | nc 127.0.0.1 "$CONTROL"'
MEMORY = 128 * 2**20  # bytes: 2000 connections with two buffers of 16 KiB each take 64 MiB of them
FOLLOWS_WITHIN = 15  # seconds: it asks Docker's DNS five times a second
DRAIN = 30  # seconds that a replaced container may go on answering, unless its service has `drain_within`


def goes_behind(service: Service) -> bool:
    """Whether one container can take over from another while both run: it speaks HTTP, and has no storage."""
    return isinstance((service.health or Health()).readiness, str) and not service.storage


def proxy_spec(names: Names, service: Service, image: str, tag: str) -> ContainerSpec:
    """The proxy's container: it has the service's port and its name on the network. `image` is that of `tag`."""
    return ContainerSpec(
        name=names.proxy(service.name),
        image=image,
        image_name=tag,
        entrypoint=("sh", "-c", START),
        labels={LABEL: names.project, SERVICE: service.name, ROLE: PROXY},
        env={
            "HAPROXY_CFG": CONFIGURATION.read_text(encoding="utf-8"),
            "CONTAINER": names.container(service.name),
            "PORT": str(service.port),
            "CONTROL": str(service.port % 65535 + 1),
        },
        publish={service.port: service.published},
        network=names.project,
        aliases=(service.name,),
        memory=MEMORY,
        restart="unless-stopped",
    )


def in_front(state: State, container: Container) -> Container:
    """The container that publishes a service's port: the proxy in front of its own, where it has one."""
    service = container.labels.get(SERVICE)
    proxies = (one for one in state.containers if one.labels.get(ROLE) == PROXY)
    return next((one for one in proxies if one.labels.get(SERVICE) == service), container)


@dataclass(frozen=True)
class Slot:
    """One of HAProxy's two servers: whether it takes new requests, how many it has, and the address that it asks."""

    name: str
    takes: bool
    requests: int
    address: str


@dataclass(frozen=True)
class Proxy:
    """The running proxy of one service, in the container of that name."""

    daemon: Daemon
    name: str

    def turn_to(self, address: str, report: Reporter) -> None:
        """Wait until it asks the container at that address, `IP:PORT`, and count the requests from then on apart."""

        def asks_it(slots: list[Slot]) -> bool:
            return len(slots) == 2 and {slot.address for slot in slots} == {address}

        slots = self._wait(asks_it, FOLLOWS_WITHIN, report)
        if not asks_it(slots):
            summary = f"{self.name} does not find the new container at {address}"
            raise Problem(summary, details=evidence(self.daemon, self.name))
        old = next((slot for slot in slots if slot.takes), slots[0])
        new = next(slot for slot in slots if slot is not old)
        self._ask(f"set server service/{new.name} state ready", report)
        self._ask(f"set server service/{old.name} state drain", report)

    def drain(self, seconds: float, report: Reporter) -> int:
        """Wait until the container before has answered its requests; how many it has not."""
        return _unanswered(self._wait(_is_answered, seconds, report))

    def _wait(self, met: Callable[[list[Slot]], bool], seconds: float, report: Reporter) -> list[Slot]:
        """The slots as soon as that is true of them, or as they are when the time is over."""
        began = time.monotonic()
        while not met(slots := self._slots(report)) and (waited := time.monotonic() - began) < seconds:
            report.cancel.wait(0.1)
            if waited > 1:
                report.progress(waited, seconds, "seconds")
        return slots

    def _slots(self, report: Reporter) -> list[Slot]:
        """Both, of the statistics as HAProxy prints them (Management Guide, "show stat"); none before it listens."""
        rows = csv.DictReader(self._ask("show stat service 4 -1", report).lstrip("# ").splitlines())
        return [
            Slot(row["svname"], not row["status"].startswith(("MAINT", "DRAIN")), int(row["scur"]), row["addr"])
            for row in rows
            if row["svname"] in {"a", "b"}
        ]

    def _ask(self, command: str, report: Reporter) -> str:
        """What it answers; nothing where it does not listen."""
        code, text = self.daemon.io.execute(self.name, ("sh", "-c", ASK, "sh", command), report, 10)
        return "" if code else text


def _unanswered(slots: list[Slot]) -> int:
    """How many requests are left to the slot that takes no more."""
    return sum(slot.requests for slot in slots if not slot.takes)


def _is_answered(slots: list[Slot]) -> bool:
    return _unanswered(slots) == 0
