"""Packages: which ones a system needs, and how a lock that another program holds is waited for."""

from __future__ import annotations

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event, Output
from slipway.engine.reporter import Reporter
from slipway.errors import Problem
from slipway.hosts.fake import FakeHost
from slipway.installers import packages
from tests.facts import recorded


def test_packages_are_named_by_release_before_family() -> None:
    table = {"debian-12": ("a",), "debian": ("b",)}
    assert packages.names_for(table, recorded()) == ("a",)
    assert packages.names_for(table, recorded(version="13")) == ("b",)
    assert packages.names_for(table, recorded(system="arch")) is None


LISTS = (
    "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 17 (apt-get)\n"
    "E: Unable to lock directory /var/lib/apt/lists/\n"
)
DPKG = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 9 (apt)...\n"


@pytest.mark.parametrize(
    ("said", "holder"),
    [
        (LISTS, "process 17 (apt-get)"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend - open (11)\n", "another program"),
        (f"{DPKG}E: Unable to locate package nope\n", ""),
        (f"{LISTS}E: Unable to locate package nope\n", ""),
        ("dnf failed\n", ""),
    ],
)
def test_a_failure_is_the_locks_only_when_that_was_the_last_error(said: str, holder: str) -> None:
    assert packages.lock_holder(said) == holder


def test_lists_that_another_program_has_are_waited_for_and_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "POLL", 0.01)
    answers = [(100, b"", LISTS.encode()), (100, b"", LISTS.encode()), (0, b"", b""), (0, b"", b"")]
    host = FakeHost("box", recorded(has="apt-get"), {"apt-get": lambda _: answers.pop(0)})
    heard: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Output):
            heard.append(event.text)

    packages.install(host, ["x"], Reporter("x", hear, Cancel()))
    assert [command.argv[-1] for command in host.ran] == ["update", "update", "update", "x"]
    waited = "waiting for process 17 (apt-get), which holds the package manager's lock"
    assert heard.count(waited) == 1
    monkeypatch.setattr(packages, "LOCK_WAIT", 0)
    answers.append((100, b"", LISTS.encode()))
    with pytest.raises(Problem, match=r"process 17 \(apt-get\) holds the package manager's lock"):
        packages.install(host, ["x"], Reporter("x", hear, Cancel()))


def test_apt_waits_for_its_lock_and_dnf_is_known() -> None:
    apt = packages.install_commands(["x"], recorded(has="apt-get"))
    assert all("DPkg::Lock::Timeout=300" in command.argv for command in apt)
    assert packages.install_commands(["x"], recorded(has="dnf"))[0].argv == ("dnf", "install", "-y", "x")
    with pytest.raises(Problem, match="no package manager"):
        packages.install_commands(["x"], recorded())
