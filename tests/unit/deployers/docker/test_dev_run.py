"""The containers of a service under development."""

from __future__ import annotations

from dataclasses import fields

import pytest

from slipway.deployers.dev_run import DevSpec
from slipway.deployers.docker.dev_run import DevContainers
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import ROLE
from slipway.engine.reporter import null_reporter
from slipway.errors import Problem
from tests.unit.deployers.docker.test_smoke_test import at_each_readiness_check, services_of, smoke_test


def dev_run(daemon: FakeDaemon) -> DevContainers:
    """A shop under development, with a database, auth and mail beside it."""
    shop = smoke_test(daemon)
    given = {one.name: getattr(shop, one.name) for one in fields(shop) if not one.name.startswith("_")}
    spec = DevSpec(java_options="-Dx=1", ports=(7700, 7701), files={"shop/main.clj": b"(ns shop)"})
    return DevContainers(**given, name="shop", spec=spec)


def test_the_service_runs_with_its_sources_and_more_ports_until_it_is_closed() -> None:
    daemon = FakeDaemon()
    run = dev_run(daemon)
    run.start(null_reporter())
    assert set(services_of(daemon)) == {"db", "auth", "mail", "shop"}
    shop = daemon.containers.inspect(run.log_command.split()[-1])
    assert "JAVA_TOOL_OPTIONS=-Dx=1" in shop.env
    assert shop.labels[ROLE] == "smoke", "a later run removes what a killed one left"
    assert (run.published(7700), run.address) == (shop.ports[7700][1], f"http://127.0.0.1:{shop.ports[8080][1]}")
    assert daemon.io.read_file(shop.id, "/slipway/sources/shop/main.clj") == b"(ns shop)"
    others = [one for one in daemon.store.containers.values() if one.id != shop.id]
    assert all(7700 not in one.ports and not any("TOOL" in line for line in one.env) for one in others)
    assert run.check(null_reporter()).ok
    run.close()
    assert (daemon.store.containers, daemon.store.networks) == ({}, {})


def test_a_service_that_does_not_start_is_told_with_what_it_logged_and_removed() -> None:
    daemon = FakeDaemon()
    run = dev_run(daemon)

    def fail() -> None:
        if "shop" in services_of(daemon):
            raise Problem("shop: it exited")

    at_each_readiness_check(daemon, fail)
    with pytest.raises(Problem) as failed:
        run.start(null_reporter())
    assert failed.value.summary == "shop: it exited"
    assert failed.value.details.count("its last lines") == 4
    run.close()
    assert (daemon.store.containers, daemon.store.networks) == ({}, {})
