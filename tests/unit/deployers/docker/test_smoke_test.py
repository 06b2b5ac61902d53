"""The containers of a smoke test: in which order they start, and what ends the wait for them."""

from __future__ import annotations

import threading

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.models import Health, Service
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.smoke_test import SmokeTestRun
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import Names
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem

NEEDS: dict[str, tuple[str, ...]] = {"db": (), "auth": ("db",), "mail": (), "shop": ("auth", "mail")}
ALL = {"db": (), "auth": ("db",), "mail": (), "shop": ("db", "auth", "mail")}  # with the needs of their needs


def smoke_test(daemon: FakeDaemon) -> SmokeTestRun:
    """The run of a smoke test of the shop."""
    services = {name: Service(name=name, needs=needs, health=Health(exec=("true",))) for name, needs in NEEDS.items()}
    image = daemon.store.add_image(b"", {})

    def desired(name: str) -> DesiredRelease[None]:
        return DesiredRelease(services[name], "0", {}, None, "someone", image)

    return SmokeTestRun(daemon, Names("shop", "sh"), desired, ALL.__getitem__, lambda: {"shop"}, FakeCheckRunner())


def at_each(daemon: FakeDaemon, operation: str, act: object) -> None:
    daemon.store.hooks.append(lambda happens: act() if happens == operation else None)  # type: ignore[operator]


def test_what_does_not_need_each_other_starts_side_by_side() -> None:
    daemon, ready = FakeDaemon(), threading.Barrier(2)
    asked: list[int] = []

    def meet() -> None:
        asked.append(len(daemon.store.containers))
        if len(asked) <= 2:
            ready.wait(10)  # db and mail are waited for at once; one behind the other breaks the barrier

    at_each(daemon, "io.execute", meet)
    smoke_test(daemon).run("shop", null_reporter(), keep=True)
    names = [one.name.split("_")[1] for one in daemon.store.containers.values()]
    assert set(names[:2]) == {"db", "mail"}
    assert names[2:] == ["auth", "shop"]


def test_a_need_that_fails_is_told_while_others_still_start() -> None:
    daemon, asked, over = FakeDaemon(), threading.Semaphore(1), threading.Event()

    def fail_then_hang() -> None:
        if asked.acquire(blocking=False):
            raise Problem("db: it exited with code 3")
        over.wait(10)

    at_each(daemon, "io.execute", fail_then_hang)
    with pytest.raises(Problem, match="it exited with code 3"):
        smoke_test(daemon).run("shop", null_reporter(), keep=False)
    assert not over.is_set()
    over.set()
    assert "shop" not in {one.name.split("_")[1] for one in daemon.store.containers.values()}
