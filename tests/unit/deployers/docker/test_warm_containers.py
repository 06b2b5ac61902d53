"""What a smoke test needed and is kept for the next one: driven with a Docker in memory."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.checks.fake import FakeCheckRunner
from slipway.config.assertions.expect import Expect
from slipway.config.models import Check, Health, Service, Smoke, Storage
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker import warm_containers
from slipway.deployers.docker.leftovers import warm
from slipway.deployers.docker.smoke_test import SmokeTestRun
from slipway.deployers.docker.warm_containers import WarmContainers
from slipway.docker.fake import FakeDaemon
from slipway.docker.labels import OWNER, Names, owner
from slipway.docker.state import Container
from slipway.engine.reporter import null_reporter
from slipway.errors import ConnectionLost, Problem

NAMES = Names("shop", "sh")
NEEDS: dict[str, tuple[str, ...]] = {"db": (), "auth": ("db",), "mail": (), "shop": ("auth", "mail"), "site": ("mail",)}
REUSE = Smoke(reuse=True)
DATA = Smoke(snapshot=("save",), restore=("bring", "back"))
CHECK = Check(name="it answers", curl='curl "$BASE/"', expect=Expect.model_validate({"status": 200}))


@dataclass
class World:
    """Runs on one Docker. What is done there is noted: `did` are operations, with a service's name behind them."""

    daemon: FakeDaemon = field(default_factory=FakeDaemon)
    smoke: dict[str, Smoke] = field(default_factory=lambda: {"db": DATA, "auth": REUSE, "mail": REUSE})
    images: dict[str, str] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    fails: set[str] = field(default_factory=set)  # words of commands

    def __post_init__(self) -> None:
        self.daemon.store.hooks.append(self._note)
        execute = self.daemon.io.execute

        def noted(container: str, argv: tuple[str, ...], *words: object) -> tuple[int, str]:
            if argv[0] != "true":
                service = self.daemon.store.container(container).name.split("_")[1]
                self.commands.append(f"{service}: {' '.join(argv)}")
                self.did.append(f"{argv[0]} {service}")
            code, text = execute(container, argv, *words)  # type: ignore[arg-type]
            return (1, "no room") if set(argv) & self.fails else (code, text)

        self.daemon.io.execute = noted  # type: ignore[method-assign,assignment]

    def _note(self, operation: str) -> None:
        name, _, word = operation.partition(" ")
        if name in {"resources.pause", "resources.unpause"}:
            self.did.append(f"{name.partition('.')[2]} {self.daemon.store.container(word).name.split('_')[1]}")
        elif name == "containers.create":
            self.did.append("create")

    def run(self, *tests: str, enabled: bool = True) -> SmokeTestRun:
        """One run with these tests pending."""
        services = {
            name: Service(
                name=name,
                needs=own,
                health=Health(exec=("true",)),
                smoke=self.smoke.get(name, Smoke()),
                storage={"data": Storage(path="/data")} if name == "db" else {},
                checks=(CHECK,),
            )
            for name, own in NEEDS.items()
        }
        every = {
            name: tuple(dict.fromkeys(o for need in own for o in (*NEEDS[need], need))) for name, own in NEEDS.items()
        }

        def desired(name: str) -> DesiredRelease[None]:
            image = self.daemon.store.add_image(self.images.get(name, name).encode(), {})
            return DesiredRelease(services[name], "0", {}, None, "someone", image)

        def end_later(_: Names, until: datetime) -> None:
            self.ends.append(until)

        return SmokeTestRun(
            self.daemon,
            NAMES,
            desired,
            every.__getitem__,
            lambda: set(tests),
            FakeCheckRunner(),
            end_later if enabled else None,
        )

    def test(self, *tests: str, enabled: bool = True, keep: bool = False) -> dict[str, str]:
        """Run these tests to the end of their run; the ids of what is warm then, by service."""
        run = self.run(*tests, enabled=enabled)
        for name in tests:
            run.run(name, null_reporter(), keep=keep)
        run.close()
        return self.warm

    @property
    def warm(self) -> dict[str, str]:
        """The ids of what is warm, by service."""
        return {one.name.split("_")[1]: one.id for one in self.all if warm(one)}

    @property
    def all(self) -> list[Container]:
        """All containers."""
        return list(self.daemon.store.containers.values())

    def change(self, service: str, **changes: object) -> None:
        """Change a warm container."""
        self.daemon.store.change(self.warm[service], **changes)


def test_the_next_run_uses_what_the_last_one_needed_and_only_the_tested_service_is_started() -> None:
    world = World()
    first = world.test("shop")
    assert set(first) == {"db", "auth", "mail"}
    assert {one.state for one in world.all} == {"paused"}
    assert len(world.ends) == 1
    world.did.clear()
    assert world.test("shop") == first
    assert world.did.count("create") == 1
    assert len(world.all) == 3


def test_whoever_lists_containers_sees_what_they_are_and_until_when() -> None:
    world = World()
    world.test("shop")
    names = sorted(one.name for one in world.all)
    assert [re.sub(r"\d{8}T\d{6}Z$", "WHEN", name) for name in names] == [
        "sh_auth_warm_2of3_until_WHEN", "sh_db_warm_1of3_until_WHEN", "sh_mail_warm_3of3_until_WHEN",
    ]  # fmt: skip
    (until,) = {found.until for one in world.all if (found := warm(one))}
    assert timedelta(minutes=9) < until - datetime.now(UTC) <= timedelta(minutes=10)


def test_data_is_copied_before_the_tested_service_starts_and_is_back_before_any_user_of_it_goes_on() -> None:
    world = World()
    world.test("shop")
    assert world.commands == ["db: save"]
    assert world.did.index("save db") == 3, "behind all that is needed, and before what is tested"
    world.did.clear()
    world.test("shop")
    assert world.commands == ["db: save", "db: bring back"]
    assert world.did[:4] == ["unpause db", "bring db", "unpause auth", "unpause mail"]


def test_what_was_prepared_is_copied_beforehand_and_once() -> None:
    world = World()
    run = world.run("shop")
    run.prepare("shop")
    for future in run._prepared:
        future.result(10)
    assert world.commands == ["db: save"]
    run.run("shop", null_reporter(), keep=False)
    run.close()
    assert world.commands == ["db: save"]
    assert set(world.warm) == {"db", "auth", "mail"}


def test_what_was_prepared_for_an_image_that_was_not_made_is_kept() -> None:
    world = World()
    first = world.test("shop")
    run = world.run("shop")
    run.prepare("shop")
    for future in run._prepared:
        future.result(10)
    assert world.warm == {}
    run.close()
    assert world.warm == first


@pytest.mark.parametrize(
    ("changed", "again"),
    [("db", {"mail"}), ("auth", {"mail"}), ("mail", {"db", "auth"}), ("shop", {"db", "auth", "mail"})],
)
def test_what_has_changed_is_started_anew_with_all_that_need_it_and_the_data_that_they_wrote(
    changed: str, again: set[str]
) -> None:
    world = World()
    first = world.test("shop")
    world.images[changed] = "another"
    second = world.test("shop")
    assert {name for name in first if first[name] == second[name]} == again
    assert set(second) == set(first)
    assert len(world.all) == 3


def test_a_test_that_needs_less_uses_what_it_needs_and_the_rest_is_removed() -> None:
    world = World()
    first = world.test("shop")
    second = world.test("site")
    assert second == {"mail": first["mail"]}
    assert len(world.all) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world: world.daemon.containers.remove(world.warm["mail"]),
        lambda world: world.change("auth", state="running"),
        lambda world: world.change("db", state="exited"),
        lambda world: world.fails.add("bring"),
    ],
)
def test_where_one_is_missing_or_can_not_go_on_nothing_that_depends_on_it_is_used(
    spoil: Callable[[World], object],
) -> None:
    world = World()
    first = world.test("shop")
    spoil(world)
    second = world.test("shop")
    assert first["db"] != second["db"]
    assert first["auth"] != second["auth"]
    assert len(world.all) == 3


def test_what_is_kept_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(warm_containers, "WARM_FOR", timedelta(seconds=-1))
    first = world.test("shop")
    monkeypatch.undo()
    second = world.test("shop")
    assert not set(first.values()) & set(second.values())
    assert len(world.all) == 3


def test_what_is_kept_is_removed_when_its_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.test("shop")
    WarmContainers(world.daemon, NAMES).remove_expired()
    assert len(world.all) == 3
    monkeypatch.setattr(warm_containers, "WARM_FOR", timedelta(seconds=-1))
    world.test("shop")
    WarmContainers(world.daemon, NAMES).remove_expired()
    assert world.all == []


@pytest.mark.parametrize(
    ("tests", "options", "without", "memory", "kept"),
    [
        (("shop",), {"enabled": False}, (), 16, set()),
        (("auth", "shop"), {}, (), 16, set()),
        (("shop",), {}, ("db",), 16, {"mail"}),
        (("shop",), {}, ("auth",), 16, {"mail"}),
        (("shop",), {}, ("mail",), 16, {"db", "auth"}),
        (("shop",), {}, ("db", "mail"), 16, set()),
        (("shop",), {}, (), 2, {"db", "auth"}),
        (("shop",), {}, (), 1, set()),  # a quarter has room for one; the database without its user is not kept
    ],
)
def test_what_is_not_kept(
    tests: tuple[str, ...], options: Mapping[str, bool], without: Collection[str], memory: int, kept: set[str]
) -> None:
    world = World()
    for name in without:
        del world.smoke[name]
    world.daemon.store.memory = memory * 2**30
    assert set(world.test(*tests, **options)) == kept
    assert len(world.all) == len(kept)


def test_what_is_to_be_left_running_runs() -> None:
    world = World()
    world.test("shop")
    world.test("shop", keep=True)
    assert {one.state for one in world.all} == {"running"}
    assert {one.name for one in world.all} == {f"sh_{name}_smoke_{os.getpid()}" for name in NEEDS if name != "site"}


def test_nothing_is_kept_of_a_test_that_failed() -> None:
    world = World()
    run = replace(world.run("shop"), checks=FakeCheckRunner({"it answers": "it was silent"}))
    with pytest.raises(Problem, match="smoke checks failed"):
        run.run("shop", null_reporter(), keep=False)
    run.close()
    assert (world.all, world.daemon.store.networks) == ([], {})


def test_where_data_can_not_be_copied_the_test_passes_and_nothing_is_kept() -> None:
    world = World()
    world.fails.add("save")
    assert world.test("shop") == {}
    assert world.all == []


def test_what_can_not_be_paused_is_removed() -> None:
    world, paused = World(), list[str]()

    def refuse(operation: str) -> None:
        if operation.startswith("resources.pause"):
            paused.append(operation)
            if len(paused) == 2:
                raise Problem("no freezer")

    world.daemon.store.hooks.append(refuse)
    assert world.test("shop") == {}
    assert (world.all, world.daemon.store.networks) == ([], {})


def test_what_was_started_anew_after_its_data_was_copied_is_not_kept() -> None:
    world, checks = World(), FakeCheckRunner()
    checks.interrupts = ConnectionLost("Docker does not answer")
    run = replace(world.run("shop"), checks=checks)
    with pytest.raises(ConnectionLost):
        run.run("shop", null_reporter(), keep=False)
    run.run("shop", null_reporter(), keep=False)
    run.close()
    assert world.all == []


def test_of_two_runs_at_once_one_takes_what_is_there() -> None:
    world = World()
    world.test("shop")
    together, needs = threading.Barrier(2), world.run("shop")._all_needed("shop")

    def take(number: int) -> dict[str, Container]:
        together.wait(10)
        return WarmContainers(world.daemon, NAMES).take_over(needs, lambda name: f"sh_{name}_smoke_{number}")

    with ThreadPoolExecutor(2) as pool:
        taken = sorted(map(len, pool.map(take, (1, os.getppid()))))
    assert taken == [0, 3]
    assert len(world.all) == 3, "what the other one has is not removed"


def test_what_a_killed_run_took_over_is_removed_with_its_network() -> None:
    world = World()
    world.test("shop")
    gone = 2**22 + 1  # more than any process has (PID_MAX_LIMIT)
    needs = world.run("shop")._all_needed("shop")
    taken = WarmContainers(world.daemon, NAMES).take_over(needs, lambda name: f"sh_{name}_smoke_{gone}")
    assert len(taken) == 3
    world.test("site", enabled=False)
    assert world.all == []


def test_an_earlier_network_stays_as_long_as_what_is_kept_is_on_it() -> None:
    world = World()
    world.test("shop")
    (network,) = world.daemon.store.networks
    world.daemon.store.networks = {f"shop-smoke-{2**22 + 1}": {**world.daemon.store.networks[network]}}
    for one in world.all:
        ended = {**one.labels, OWNER: owner(str(2**22 + 1))}
        world.daemon.store.change(one.id, aliases={f"shop-smoke-{2**22 + 1}": ()}, labels=ended)
    WarmContainers(world.daemon, NAMES).remove_expired()
    assert (len(world.all), len(world.daemon.store.networks)) == (3, 1)
    assert len(world.test("shop")) == 3
    world.test("shop", enabled=False)
    assert world.all == []
