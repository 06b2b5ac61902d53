"""The containers of a smoke test: in which order they start, and what ends the wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import wait

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.checks.report import CheckReport
from slipway.config.models import Check, Health, Service
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.smoke_test import AT_ONCE, SmokeTestRun
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import Names
from slipway.engine.cancellation import Cancel
from slipway.engine.reporter import Reporter, null_reporter
from slipway.errors import Cancelled, ConnectionLost, Problem

NEEDS: dict[str, tuple[str, ...]] = {"db": (), "auth": ("db",), "mail": (), "shop": ("auth", "mail")}


def smoke_test(
    daemon: FakeDaemon,
    needs: Mapping[str, tuple[str, ...]] = NEEDS,
    never_ready: str = "",
    desired_of: Callable[[str], object] = str,
    without_image: Collection[str] = (),
) -> SmokeTestRun:
    """The run of a smoke test of the shop. Whether a service is ready a command says, of the one that never is HTTP."""
    by_command, by_http = Health(exec=("true",)), Health(ready="/")
    services = {
        name: Service(name=name, needs=own, health=by_http if name == never_ready else by_command)
        for name, own in needs.items()
    }
    every = {
        name: tuple(dict.fromkeys(one for need in own for one in (*needs[need], need))) for name, own in needs.items()
    }
    image = daemon.store.add_image(b"", {})

    def desired(name: str) -> DesiredRelease[None]:
        desired_of(name)
        return DesiredRelease(services[name], "0", {}, None, "someone", "" if name in without_image else image)

    return SmokeTestRun(daemon, Names("shop", "sh"), desired, every.__getitem__, lambda: {"shop"}, FakeCheckRunner())


def at_each_readiness_check(daemon: FakeDaemon, act: Callable[[], None]) -> None:
    """Act whenever a service is asked whether it is ready."""

    def hook(operation: str) -> None:
        if operation == "io.execute":
            act()

    daemon.store.hooks.append(hook)


def services_of(daemon: FakeDaemon) -> list[str]:
    """The services that have a container, the oldest first."""
    return [container.name.split("_")[1] for container in daemon.store.containers.values()]


def test_what_does_not_need_each_other_starts_side_by_side() -> None:
    daemon, together, asked = FakeDaemon(), threading.Barrier(2), threading.Semaphore(2)

    def meet() -> None:
        if asked.acquire(blocking=False):
            together.wait(10)  # db and mail; one behind the other breaks the barrier

    at_each_readiness_check(daemon, meet)
    smoke_test(daemon).run("shop", null_reporter(), keep=True)
    assert set(services_of(daemon)[:2]) == {"db", "mail"}
    assert services_of(daemon)[2:] == ["auth", "shop"]


def test_no_more_start_together_than_there_are_cpus_for() -> None:
    daemon, lock, counts = FakeDaemon(), threading.Lock(), [0]
    many: dict[str, tuple[str, ...]] = {f"n{number}": () for number in range(3 * AT_ONCE)}

    def count(operation: str) -> None:
        with lock:
            counts.append(counts[-1] + {"containers.start": 1, "io.execute": -1}.get(operation, 0))

    daemon.store.hooks.append(count)
    smoke_test(daemon, {**many, "shop": tuple(many)}).run("shop", null_reporter(), keep=True)
    assert counts[-1] == 0
    assert max(counts) <= AT_ONCE


@pytest.mark.parametrize(("cancelled", "told"), [(False, "it exited with code 3"), (True, None)])
def test_when_a_need_fails_or_the_run_is_cancelled_nothing_starts_afterwards(cancelled: bool, told: str | None) -> None:
    daemon, cancel = FakeDaemon(), Cancel()
    begun, failed, created = threading.Event(), threading.Event(), threading.Event()

    def fail() -> None:
        begun.wait(10)
        failed.set()
        if cancelled:
            cancel.request()
            cancel.check()
        raise Problem("db: it exited with code 3")

    def hold_up(name: str) -> None:
        if name == "mail" and threading.current_thread() is not threading.main_thread():
            begun.set()
            failed.wait(10)
            time.sleep(0.2)  # its container is still to be created when db has failed
            created.set()

    at_each_readiness_check(daemon, fail)
    run = smoke_test(daemon, never_ready="mail", desired_of=hold_up)
    began = time.monotonic()
    with pytest.raises(Cancelled if cancelled else Problem, match=told):
        run.run("shop", Reporter("shop/smoke", null_reporter().emit, cancel), keep=False)
    assert time.monotonic() - began < 30, "mail, which is never ready, was waited for"
    assert created.is_set()
    run.close()
    assert services_of(daemon) == []
    assert daemon.store.networks == {}


def prepared(run: SmokeTestRun, name: str = "shop") -> None:
    """Prepare a test, and wait until all has been started for it."""
    run.prepare(name)
    wait(run._prepared, 10)


@pytest.mark.parametrize(
    ("without_image", "started"),
    [
        ((), {"db", "mail", "auth"}),
        (("shop",), {"db", "mail", "auth"}),
        (("db",), {"mail"}),
        (("auth", "mail"), {"db"}),
    ],
)
def test_what_a_test_needs_and_has_an_image_is_started_beforehand(
    without_image: Collection[str], started: set[str]
) -> None:
    daemon, missing = FakeDaemon(), set(without_image)
    run = smoke_test(daemon, without_image=missing)
    prepared(run)
    assert set(services_of(daemon)) == started
    missing.clear()
    before = set(daemon.store.containers)
    run.run("shop", null_reporter(), keep=True)
    assert before < set(daemon.store.containers), "they are those that the test runs beside"
    assert sorted(services_of(daemon)) == sorted(NEEDS)


def test_nothing_is_started_for_what_is_not_going_to_be_tested() -> None:
    daemon = FakeDaemon()
    prepared(smoke_test(daemon), "auth")
    assert services_of(daemon) == []


def test_what_could_not_be_started_beforehand_is_told_by_the_test() -> None:
    daemon = FakeDaemon()

    def fail(operation: str) -> None:
        if operation == "containers.start":
            raise Problem("no room")

    daemon.store.hooks.append(fail)
    run = smoke_test(daemon)
    prepared(run)
    with pytest.raises(Problem, match="no room"):
        run.run("shop", null_reporter(), keep=False)


def test_a_run_that_ends_before_the_test_leaves_nothing_that_was_started_for_it() -> None:
    daemon = FakeDaemon()
    run = smoke_test(daemon, never_ready="mail")
    run.prepare("shop")
    deadline = time.monotonic() + 10
    while "mail" not in services_of(daemon):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.close()
    assert (daemon.store.containers, daemon.store.networks) == ({}, {})


def test_a_test_that_is_run_again_does_not_meet_what_is_still_being_removed() -> None:
    daemon, lost = FakeDaemon(), [True]

    def hook(operation: str) -> None:
        if operation == "io.execute" and "shop" in services_of(daemon) and lost:
            lost.clear()
            raise ConnectionLost("Docker does not answer")
        if operation == "containers.remove" and not lost:
            time.sleep(0.1)

    daemon.store.hooks.append(hook)
    run = smoke_test(daemon)
    with pytest.raises(ConnectionLost):
        run.run("shop", null_reporter(), keep=False)
    run.checks = Slow(daemon)
    run.run("shop", null_reporter(), keep=False)
    assert run.checks.beside == set(NEEDS)


class Slow(FakeCheckRunner):
    """Takes a second for its checks, and then looks which services run."""

    def __init__(self, daemon: FakeDaemon) -> None:
        super().__init__()
        self.daemon, self.beside = daemon, set[str]()

    def run(self, checks: Sequence[Check], addresses: Mapping[str, str], report: Reporter) -> CheckReport:
        time.sleep(1)
        self.beside = set(services_of(self.daemon))
        return super().run(checks, addresses, report)


def test_its_network_is_removed_beside_what_follows_and_not_when_the_run_ends() -> None:
    daemon = FakeDaemon()
    run = smoke_test(daemon)
    run.run("shop", null_reporter(), keep=False)
    until = time.monotonic() + 10
    while daemon.store.networks and time.monotonic() < until:
        time.sleep(0.01)
    assert (daemon.store.networks, services_of(daemon)) == ({}, [])
