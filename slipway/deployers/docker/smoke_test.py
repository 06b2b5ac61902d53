"""Smoke tests: images run in containers of their own, beside those that they need, and their checks are run.

The services of one run share a network of that run alone, under their DNS names, with storage that is removed with
them: running releases are neither touched nor reached. What the only test of a run needed may be kept for the next run.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from slipway.checks.report import CheckReport
from slipway.checks.runner import CheckRunner
from slipway.config.quantity import parse_bytes
from slipway.deployers.deployer import DesiredRelease, addresses
from slipway.deployers.docker.evidence import LINES_OF_A_NEED, evidence
from slipway.deployers.docker.readiness import wait_until_ready
from slipway.deployers.docker.warm_set import Need, content_digest
from slipway.docker.container_spec import ContainerSpec
from slipway.docker.labels import CONTENT, LABEL, OWNER, ROLE, SERVICE, Names, owner
from slipway.docker.protocols import Daemon
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.threads import Threads
from slipway.errors import ConnectionLost, Problem, deploy_command

if TYPE_CHECKING:
    from slipway.deployers.docker.warm_containers import EndLater
    from slipway.deployers.docker.warm_needs import WarmNeeds

AT_ONCE = max(2, os.cpu_count() or 1)  # that start together: more would keep each other from being ready in time


@dataclass
class SmokeTestRun:
    """The smoke tests of one run. `desired` is the release of a service that is tested, its image included.

    A container runs for as long as a service of `pending` needs it whose own test has not finished. With `end_later`,
    what the only test of a run needed is kept warm if it passed.
    """

    daemon: Daemon
    names: Names
    desired: Callable[[str], DesiredRelease[Any]]
    needs: Callable[[str], tuple[str, ...]]  # all that a service needs, in the order in which they start
    pending: Callable[[], set[str]]
    checks: CheckRunner
    end_later: EndLater | None = None
    _finished: set[str] = field(default_factory=set)
    _passed: set[str] = field(default_factory=set)
    _left_running: set[str] = field(default_factory=set)
    _containers: dict[str, str] = field(default_factory=dict)  # id by service
    _started: set[str] = field(default_factory=set)  # those of them that were started
    _ready: set[str] = field(default_factory=set)  # those that were ready
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _locks: defaultdict[str, threading.Lock] = field(default_factory=partial(defaultdict, threading.Lock))  # by service
    _starting: threading.Semaphore = field(default_factory=partial(threading.Semaphore, AT_ONCE))
    _network: str = ""  # where there is one
    _warm: WarmNeeds | None = None  # as soon as something has started
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
            report = null_reporter(self._ended)
            self._start_all(ready, report)
            self._copy_data(report)

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
            self._passed.add(name)
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
        if not self._finished:  # its own image was not made: what it needs is as it was
            self._keep_warm()
        left = tuple(self._containers)
        threads = Threads(len(left) or 1)
        wait([threads.submit(self._remove, (one,)) for one in left])
        self._remove_network()

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
        if self._warm and name == self._warm.test:
            self._copy_data(report)
            self._warm.tell(report)
        with self._starting:
            report.cancel.check()
            self._start(name, report)
            service = self.desired(name).service
            wait_until_ready(self.daemon, self._containers[name], service, self._address(name), report)
            self._ready.add(name)

    def _left(self, name: str) -> str:
        """How to remove what stays of a service and its needs; empty where nothing does."""
        left = self._left_running & self._containers.keys()
        names = " ".join(self._name(one) for one in (name, *self.needs(name)) if one in left)
        return f"to remove what was left: docker rm -f {names}" if names else ""

    def _name(self, service: str) -> str:
        return f"{self.names.smoke(service)}_{owner().partition('@')[0]}"

    def _address(self, service: str) -> str:
        port = self.desired(service).service.port
        return f"http://127.0.0.1:{self.daemon.containers.inspect(self._containers[service]).ports[port][1]}"

    def _create_network(self) -> str:
        network = f"{self.names.project}-smoke-{owner().partition('@')[0]}"
        self.daemon.networks.create(network, {LABEL: self.names.project, OWNER: owner()})
        return network

    def _take_over(self, report: Reporter) -> str:
        """Go on with what an earlier run kept, as far as this one can use it; the network that it is on, if any is."""
        from slipway.deployers.docker.warm_containers import WarmContainers  # here, since most runs test nothing
        from slipway.deployers.docker.warm_needs import WarmNeeds

        warm, pending = WarmContainers(self.daemon, self.names), self.pending()
        self._warm = WarmNeeds(warm)
        if self.end_later and len(pending) == 1:
            (test,) = pending
            self._warm = WarmNeeds(warm, test, self._all_needed(test), self.end_later)
        found = warm.take_over(self._warm.needs, self._name)
        self._network = next((network for one in found.values() for network in one.aliases), "")
        self._containers |= {name: one.id for name, one in found.items()}
        if not self._warm.wake(found, report):
            self._containers.clear()
            return ""
        self._started |= found.keys()
        return self._network

    def _all_needed(self, name: str) -> dict[str, Need]:
        """All that a service needs, in the order in which it starts."""
        found: dict[str, Need] = {}
        for one in self.needs(name):
            found[one] = Need(self.desired(one).service, frozenset(self.needs(one)), self._content(one, found))
        return found

    def _content(self, name: str, needs: Mapping[str, Need]) -> str:
        desired = self.desired(name)
        return content_digest(desired, [needs[one].content for one in desired.service.needs])

    def _copy_data(self, report: Reporter) -> None:
        if self._warm:
            self._warm.copy_data(self._ready, self._containers, report)

    def _keep_warm(self) -> None:
        """Keep what the next run's test may use again. What can't be kept is removed with all else."""
        kept = self._warm.keep(self._containers) if self._warm and not self._left_running else ()
        for name in kept:
            del self._containers[name]
            self._network = ""  # it is theirs

    def _start(self, name: str, report: Reporter) -> None:
        """Start a service's container, unless it runs already for another test."""
        with self._lock:
            lock = self._locks[name]
            if not self._network:
                self._network = self._take_over(report) or self._create_network()
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
        content = self._content(name, self._all_needed(name))
        return ContainerSpec(
            name=self._name(name),
            image=desired.image,
            image_name=self.names.image(name, desired.source),
            labels={LABEL: self.names.project, SERVICE: name, ROLE: "smoke", OWNER: owner(), CONTENT: content},
            env={**service.env, **desired.secrets},
            publish={service.port: 0},
            network=self._network,
            aliases=(name,),
            memory=parse_bytes(service.resources.memory_limit),
            scratch=tuple(part.path for part in service.storage.values()),
            probed=False,  # to pause a container while Docker starts a process in it makes Docker hang
        )

    def _finish(self, name: str) -> None:
        """Note that a service's test has finished, and begin to remove the containers that no pending test needs."""
        with self._lock:
            self._finished.add(name)
            needed = {one for test in self.pending() - self._finished for one in (test, *self.needs(test))}
            unneeded = [one for one in self._containers if one not in needed]
        self._removing.append(Threads(1).submit(self._settle, unneeded))

    def _settle(self, unneeded: Iterable[str]) -> None:
        if self._warm and self._warm.test in self._passed:
            self._keep_warm()
        self._remove(unneeded)
        if self.pending() <= self._passed:  # one that failed may be run again
            self._remove_network()

    def _remove_network(self) -> None:
        with self._lock, suppress(Problem):
            if self._network and not self._containers:
                self.daemon.networks.remove(self._network)
                self._network = ""

    def _remove(self, services: Iterable[str]) -> None:
        """Remove what is not to be left running. What can't be removed now is tried again when the run ends."""
        for one in services:
            with self._locks[one], suppress(Problem):
                if one in self._containers and one not in self._left_running:
                    self.daemon.containers.remove(self._containers[one])
                    del self._containers[one]
                    self._started.discard(one)
                    self._ready.discard(one)
