"""Trials: images run in containers of their own, beside those that they need, asked whether they do as they should.

The services of one run share a network of that run alone, under their DNS names, with storage that goes with them: what
serves is neither touched nor reached.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from slipway.checks.runner import CheckRunner
from slipway.config.quantity import parse_bytes
from slipway.deployers.deployer import DesiredRelease, addresses
from slipway.deployers.docker.container import ready
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL, OWNER, ROLE, SERVICE, Names, left_behind, owner
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container, State
from slipway.engine.steps import Reporter
from slipway.errors import Problem

GRACE = 2  # seconds that a service gets to stop


@dataclass
class SmokeTestRun:
    """The trials of one run. `wanted` tells what a service is tried as, its image included.

    A container stays up for those that need it: until no service of `waiting` does whose trial has not ended.
    """

    daemon: Daemon
    names: Names
    wanted: Callable[[str], DesiredRelease[Any]]
    needs: Callable[[str], tuple[str, ...]]  # all that a service needs, what they need first
    waiting: Callable[[], set[str]]
    checks: CheckRunner
    ended: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    _up: dict[str, str] = field(default_factory=dict)  # the container by service
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locks: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))  # by service
    _ready: bool = False

    def run(self, name: str, report: Reporter, *, keep: bool) -> None:
        """Run a service and what it needs, and verify it. `keep` leaves them running.

        Raises Problem with the failed checks, the container's exit code and its last lines.
        """
        if keep:
            self.kept |= {name, *self.needs(name)}
        service = self.wanted(name).service
        try:
            for one in (*self.needs(name), name):  # each when what it needs is up
                self._start(one)
                ready(self.daemon, self._up[one], self.wanted(one).service, self._address(one), report)
            outcome = self.checks.run(service.checks, addresses(service, self._address), report)
            if not outcome.ok:
                failed = ", ".join(check for check, ok in outcome.record.items() if not ok)
                raise Problem(f"{name}: smoke checks failed: {failed}", details=outcome.text)
        except Problem as problem:
            again = f"./invoke deploy --service {name}; what served before still serves"
            said = (self._evidence(name, 50), *(self._evidence(need, 10) for need in self.needs(name)))
            hint = f"{problem.hint}\nmend it and run {again}".strip()
            raise Problem(problem.summary, details="\n".join((problem.details, *said)).strip(), hint=hint) from problem
        finally:
            self._settle(name)
        if keep:
            names = " ".join(self._name(one) for one in (name, *self.needs(name)))
            report.note(f"kept: it answers at {self._address(name)}; docker logs {self._name(name)}")
            report.note(f"kept: remove it with docker rm -f {names}")

    def close(self) -> None:
        """Remove all that is not to be kept; what can't be removed now is swept by a later run."""
        with suppress(Problem):
            self._remove(tuple(self._up))
            if self._ready and not self.kept:
                self.daemon.networks.remove(self._network)

    @property
    def _network(self) -> str:
        return f"{self.names.project}-smoke-{owner().partition('@')[0]}"

    def _name(self, service: str) -> str:
        return f"{self.names.smoke(service)}_{owner().partition('@')[0]}"

    def _address(self, service: str) -> str:
        port = self.wanted(service).service.port
        return f"http://127.0.0.1:{self.daemon.containers.inspect(self._up[service]).ports[port][1]}"

    def _start(self, name: str) -> None:
        with self._lock:
            lock = self._locks[name]
            if not self._ready:
                sweep(self.daemon, self.names)
                self.daemon.networks.create(self._network, {LABEL: self.names.project, OWNER: owner()})
                self._ready = True
        with lock:
            if name in self._up:
                return
            wanted = self.wanted(name)
            service = wanted.service
            labels = {LABEL: self.names.project, SERVICE: name, ROLE: "smoke", OWNER: owner()}
            made = self.daemon.containers.create(
                ContainerSpec(
                    name=self._name(name),
                    image=wanted.image,
                    labels=labels,
                    env={**service.env, **wanted.secrets},
                    publish={service.port: 0},
                    network=self._network,
                    aliases=(name,),
                    memory=parse_bytes(service.resources.memory),
                    scratch=tuple(part.path for part in service.storage.values()),
                )
            )
            self._up[name] = made
            self.daemon.containers.start(made)

    def _settle(self, name: str) -> None:
        """Remove what no other service waits for."""
        with self._lock:
            self.ended.add(name)
            used = {one for waits in self.waiting() - self.ended for one in (waits, *self.needs(waits))}
            over = [one for one in self._up if one not in used]
        self._remove(over)

    def _remove(self, services: Iterable[str]) -> None:
        for one in services:
            with self._locks[one]:
                if one in self._up and one not in self.kept:
                    made = self._up.pop(one)
                    self.daemon.containers.stop(made, GRACE)
                    self.daemon.containers.remove(made)

    def _evidence(self, service: str, tail: int) -> str:
        found = self.daemon.containers.find(self._up.get(service, self._name(service)))
        if found is None:
            return ""
        lines = "\n".join(self.daemon.io.logs(found.id, tail, follow=False))
        return f"{found.name}: {found.state}, exit code {found.exit_code}; its last lines:\n{lines}"


def sweep(daemon: Daemon, names: Names) -> None:
    """Remove what trials of runs that were killed, or kept theirs, left on this machine's Docker."""
    state = daemon.state(names.project)
    for container in stale(state):
        daemon.containers.remove(container.id)
    prefix = f"{names.project}-smoke-"
    for network in (network for network in state.networks if network.startswith(prefix)):
        if left_behind({OWNER: owner(network.removeprefix(prefix))}):
            daemon.networks.remove(network)


def stale(state: State) -> list[Container]:
    """The containers of trials whose run has ended."""
    return [one for one in state.containers if one.labels.get(ROLE) == "smoke" and left_behind(one.labels)]
