"""New services: names, ports, and the files that are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.config.models import Override, Service
from slipway.docker import ports
from slipway.engine.cancellation import Cancel
from slipway.engine.run import Run
from slipway.errors import Problem, UsageError
from slipway.scaffold.service import create, nearest_label, new_service
from tasks.exit_codes import ExitCode, of_run

AUTH = {"auth": Service.model_validate({"name": "auth", "port": 8080})}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_free", lambda port: port != 8081)
    monkeypatch.setattr(ports, "listener", lambda _: "a browser (pid 7)")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("My_Service", "my-service"),
        ("billing & more", "billing-more"),
        ("2nd", "nd"),
        ("orderHTTP", "order-http"),
        ("…", ""),
        ("a" * 60, "a" * 40),
    ],
)
def test_an_invalid_name_is_refused_with_the_nearest_valid_one(name: str, near: str, tmp_path: Path) -> None:
    assert nearest_label(name) == near
    with pytest.raises(Problem) as caught:
        new_service(name, None, "hh", tmp_path, AUTH)
    assert isinstance(caught.value, UsageError)
    assert caught.value.summary.startswith("invalid service name: '")
    assert caught.value.hint == f"for example: {near or 'invoices'}"


def test_a_taken_name_is_refused_with_the_first_unused_one(tmp_path: Path) -> None:
    (tmp_path / "auth-2").mkdir()
    with pytest.raises(Problem) as caught:
        new_service("auth", None, "hh", tmp_path, AUTH)
    assert (caught.value.summary, caught.value.hint) == ("service auth already exists", "for example: auth-3")
    with pytest.raises(Problem, match="/auth-2 already exists"):
        new_service("auth-2", None, "hh", tmp_path, AUTH)


@pytest.mark.parametrize(
    ("port", "summary"),
    [
        (8080, "port 8080 is already published by auth"),
        (8081, "port 8081 is in use by a browser"),
        (0, "invalid port: 0"),
        (65536, "invalid port: 65536"),
    ],
)
def test_an_invalid_or_taken_port_is_refused_with_a_free_one(port: int, summary: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=summary) as caught:
        new_service("invoices", port, "hh", tmp_path, AUTH)
    assert caught.value.hint == "port 8082 is free"  # another process listens on 8081


def test_a_port_of_an_override_is_in_use_and_so_is_the_one_that_it_replaces(tmp_path: Path) -> None:
    moved = {"auth": Override(publish=8082)}
    assert new_service("invoices", None, "hh", tmp_path, AUTH, moved).port == 8083
    for port in (8080, 8082):
        with pytest.raises(Problem, match=f"port {port} is already published by auth"):
            new_service("invoices", port, "hh", tmp_path, AUTH, moved)


def test_a_new_service_is_one_that_the_configuration_takes(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "slipway.yaml").write_text("name: the-team\nshort: tt\n")
    (tmp_path / "services").mkdir()
    made = new_service("my-invoices", None, "the-team", tmp_path / "services", {})
    assert of_run(Run([create(made)], lambda _: None, Cancel()).go()) is ExitCode.DONE
    read = load(tmp_path).services["my-invoices"]
    assert (read.published, read.leiningen, len(read.checks)) == (8080, True, 3)
    main = (read.folder / "src" / "the_team" / "my_invoices" / "main.clj").read_text()
    assert main.startswith("(ns the-team.my-invoices.main\n")
    assert ":main the-team.my-invoices.main" in (read.folder / "project.clj").read_text()
    assert [path.name for path in (tmp_path / "services").iterdir()] == ["my-invoices"]


def test_a_plan_lists_every_file_and_writes_none(tmp_path: Path) -> None:
    made = new_service("invoices", None, "hh", tmp_path, {})
    change = create(made).check(False)
    assert change
    assert all(place in change.reason for place, _ in made.files())
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_behind_is_removed(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "slipway.yaml").write_text("name: hh\nshort: hh\n")
    half = tmp_path / "services" / ".slipway-killed" / "invoices"
    half.mkdir(parents=True)
    (half / "service.yaml").write_text("name: inv")
    os.utime(half.parent, (0, 0))
    services = load(tmp_path).services
    assert services == {}
    made = new_service("invoices", None, "hh", tmp_path / "services", services)
    assert of_run(Run([create(made)], lambda _: None, Cancel()).go()) is ExitCode.DONE
    assert list(load(tmp_path).services) == ["invoices"]
    assert [path.name for path in (tmp_path / "services").iterdir()] == ["invoices"]
