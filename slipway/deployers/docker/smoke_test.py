"""Smoke tests: images run in containers of their own, beside those that they need, and their checks are run.

The services of one run share a network of that run alone, under their DNS names, with storage that is removed with
them: running releases are neither touched nor reached.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from slipway.checks.report import CheckReport
from slipway.checks.runner import CheckRunner
from slipway.config.quantity import parse_bytes
from slipway.deployers.deployer import DesiredRelease, addresses
from slipway.deployers.docker.evidence import LINES_OF_A_NEED, evidence
from slipway.deployers.docker.readiness import wait_until_ready
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import LABEL, OWNER, ROLE, SERVICE, Names, left_behind, owner
from slipway.docker.protocols import Daemon
from slipway.docker.state import Container, State
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.threads import Threads
from slipway.errors import ConnectionLost, Problem, deploy_command

AT_ONCE = max(2, os.cpu_count() or 1)  # that start together: more would keep each other from being ready in time


@dataclass
class SmokeTestRun:
    """The smoke tests of one run. `desired` is the release of a service that is tested, its image included.

    A container runs for as long as a service of `pending` needs it whose own test has not finished.
    """

    daemon: Daemon
    names: Names
    desired: Callable[[str], DesiredRelease[Any]]
    needs: Callable[[str], tuple[str, ...]]  # all that a service needs, in the order in which they start
    pending: Callable[[], set[str]]
    checks: CheckRunner
    _finished: set[str] = field(default_factory=set)
    _left_running: set[str] = field(default_factory=set)
    _containers: dict[str, str] = field(default_factory=dict)  # id by service
    _started: set[str] = field(default_factory=set)  # those of them that were started
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locks: defaultdict[str, threading.Lock] = field(default_factory=partial(defaultdict, threading.Lock))  # by service
    _starting: threading.Semaphore = field(default_factory=partial(threading.Semaphore, AT_ONCE))
    _network_created: bool = False
    _ended: Cancel = field(default_factory=Cancel)
    _prepared: list[Future[None]] = field(default_factory=list)
    _removing: list[Future[None]] = field(default_factory=list)

    def prepare(self, name: str) -> None:
        """Begin to start what a service needs, since its own image is made now; return at once.

        Whoever runs the test waits for it, and hears of its faults.
        """
        self._prepared.append(Threads(1).submit(self._start_ready, name))

    def _start_ready(self, name: str) -> None:
        """Start what a service needs and has an image, with all that it needs itself."""
        needs = self.needs(name) if name in self.pending() else ()
        ready = [one for one in needs if all(self.desired(each).image for each in (*self.needs(one), one))]
        if ready:
            self._start_all(ready, null_reporter(self._ended))

    def run(self, name: str, report: Reporter, *, keep: bool) -> None:
        """Run a service and what it needs, and check it. `keep` leaves them running.

        Raises Problem with the failed checks, and the exit codes and last log lines of all that ran; ConnectionLost
        where the daemon stopped answering: then it can be run again.
        """
        if keep:
            self._left_running |= {name, *self.needs(name)}
        if name in self._finished:  # it is run again: what is being removed must not be taken for running
            wait(self._removing)
            self._finished.discard(name)
        try:
            self._test(name, report)
        except ConnectionLost as lost:
            lost.changed = lost.changed or bool(self._containers)
            raise
        except Problem as problem:
            again = "the running release was not touched; fix the cause and deploy again"
            hint = "\n".join(filter(None, (problem.hint, again, self._left(name))))
            commands = (*problem.commands, deploy_command(name))
            details = self.with_evidence(problem, name)
            raise Problem(problem.summary, details=details, hint=hint, commands=commands) from problem
        finally:
            self._finish(name)
        if keep:
            report.note(f"left running at {self._address(name)}; logs: docker logs {self._name(name)}")
            report.note(self._left(name))

    def with_evidence(self, problem: Problem, name: str) -> str:
        """A problem's details, and behind them the exit codes and last log lines of a service and what it needs."""
        needs = (evidence(self.daemon, self._name(need), LINES_OF_A_NEED) for need in self.needs(name))
        return "\n".join(filter(None, (problem.details, evidence(self.daemon, self._name(name)), *needs))).strip()

    def close(self) -> None:
        """Remove all that is not to be left running; what can't be removed now, a later run removes."""
        self._ended.request()
        wait((*self._prepared, *self._removing))
        left = tuple(self._containers)
        threads = Threads(len(left) or 1)
        wait([threads.submit(self._remove, (one,)) for one in left])
        if self._network_created and not self._containers:
            with suppress(Problem):
                self.daemon.networks.remove(self._network)

    def _test(self, name: str, report: Reporter) -> None:
        """Start a service and what it needs, and check it."""
        self._start_all((*self.needs(name), name), report)
        outcome = self._check(name, report)
        if not outcome.ok:
            raise Problem(f"{name}: smoke checks failed: {outcome.failed}", details=outcome.text)

    def _check(self, name: str, report: Reporter) -> CheckReport:
        service = self.desired(name).service
        return self.checks.run(service.checks, addresses(service, self._address), report)

    def _start_all(self, names: Sequence[str], report: Reporter) -> None:
        """Start services side by side, each as soon as those that it needs are ready, and wait until all are.

        When one fails, or the run is cancelled, the others stop waiting: afterwards nothing is started any more.
        """
        stop, threads, ready = Cancel(), Threads(len(names)), dict[str, Future[None]]()
        unregister = report.cancel.on_request(stop.request)
        try:
            for name in names:
                needs = [ready[need] for need in self.desired(name).service.needs]
                ready[name] = threads.submit(self._start_behind, needs, name, replace(report, cancel=stop))
            wait(ready.values(), return_when=FIRST_EXCEPTION)
        finally:
            failed = next((one for one in ready.values() if one.done() and one.exception()), None)
            stop.request()
            wait(ready.values())
            unregister()
        if failed:
            failed.result()

    def _start_behind(self, needs: Iterable[Future[None]], name: str, report: Reporter) -> None:
        """Start a service when those that it needs are ready, and wait until it is; only so many start at a time."""
        for need in needs:
            need.result()
        with self._starting:
            report.cancel.check()
            self._start(name)
            service = self.desired(name).service
            wait_until_ready(self.daemon, self._containers[name], service, self._address(name), report)

    def _left(self, name: str) -> str:
        """How to remove what stays of a service and its needs; empty where nothing does."""
        left = self._left_running & self._containers.keys()
        names = " ".join(self._name(one) for one in (name, *self.needs(name)) if one in left)
        return f"to remove what was left: docker rm -f {names}" if names else ""

    @property
    def _network(self) -> str:
        return f"{self.names.project}-smoke-{owner().partition('@')[0]}"

    def _name(self, service: str) -> str:
        return f"{self.names.smoke(service)}_{owner().partition('@')[0]}"

    def _address(self, service: str) -> str:
        port = self.desired(service).service.port
        return f"http://127.0.0.1:{self.daemon.containers.inspect(self._containers[service]).ports[port][1]}"

    def _start(self, name: str) -> None:
        """Start a service's container, unless it runs already for another test."""
        with self._lock:
            lock = self._locks[name]
            if not self._network_created:
                remove_leftovers(self.daemon, self.names)
                self.daemon.networks.create(self._network, {LABEL: self.names.project, OWNER: owner()})
                self._network_created = True
        with lock:
            if name not in self._containers:
                self.daemon.containers.remove(self._name(name))  # created just when the connection broke
                self._containers[name] = self._create(name)
            if name not in self._started:  # one that exited meanwhile fails the tests that need it
                self.daemon.containers.start(self._containers[name])
                self._started.add(name)

    def _create(self, name: str) -> str:
        return self.daemon.containers.create(self._spec(name))

    def _spec(self, name: str) -> ContainerSpec:
        desired = self.desired(name)
        service = desired.service
        return ContainerSpec(
            name=self._name(name),
            image=desired.image,
            image_name=self.names.image(name, desired.source),
            labels={LABEL: self.names.project, SERVICE: name, ROLE: "smoke", OWNER: owner()},
            env={**service.env, **desired.secrets},
            publish={service.port: 0},
            network=self._network,
            aliases=(name,),
            memory=parse_bytes(service.resources.memory_limit),
            scratch=tuple(part.path for part in service.storage.values()),
        )

    def _finish(self, name: str) -> None:
        """Note that a service's test has finished, and begin to remove the containers that no pending test needs."""
        with self._lock:
            self._finished.add(name)
            needed = {one for test in self.pending() - self._finished for one in (test, *self.needs(test))}
            unneeded = [one for one in self._containers if one not in needed]
        self._removing.append(Threads(1).submit(self._remove, unneeded))

    def _remove(self, services: Iterable[str]) -> None:
        """Remove what is not to be left running. What can't be removed now is tried again when the run ends."""
        for one in services:
            with self._locks[one], suppress(Problem):
                if one in self._containers and one not in self._left_running:
                    self.daemon.containers.remove(self._containers[one])
                    del self._containers[one]
                    self._started.discard(one)


def remove_leftovers(daemon: Daemon, names: Names) -> None:
    """Remove what smoke tests of ended runs of this machine left: runs that were killed, or left theirs running."""
    state = daemon.state(names.project)
    for container in leftover_containers(state):
        daemon.containers.remove(container.id)
    prefix = f"{names.project}-smoke-"
    for network in (network for network in state.networks if network.startswith(prefix)):
        if left_behind({OWNER: owner(network.removeprefix(prefix))}):
            daemon.networks.remove(network)


def leftover_containers(state: State) -> list[Container]:
    """The containers of smoke tests whose run has ended."""
    return [one for one in state.containers if one.labels.get(ROLE) == "smoke" and left_behind(one.labels)]
