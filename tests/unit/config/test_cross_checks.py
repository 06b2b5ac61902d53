"""Errors that show when files are seen together."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.cross_checks import cycles
from slipway.config.load import load
from tests.unit.config.conftest import PLAIN, errors, service


def test_a_secret_of_a_service_that_uses_anothers_names_the_one_that_generates_it(team: Path) -> None:
    service(team, "web", PLAIN + "secrets: {KEY: {of: api}}\n")
    service(team, "api", "name: api\nbuild: none\nsecrets: {KEY: {of: db}}\n")
    service(team, "db", "name: db\nbuild: none\nport: 5432\nsecrets: {KEY: {generate: {}}}\n")
    assert errors(team) == [
        "apps/web/service.yaml:4: service api does not generate KEY: it uses that of another service · of: db"
    ]


def test_a_port_that_two_services_publish_is_reported_with_a_free_one(team: Path) -> None:
    service(team, "api", "name: api\nbuild: none\nport: 9000\n")
    assert errors(team) == ["apps/web/service.yaml:2: port 9000 is already published by api · publish: 9001 is free"]


@pytest.mark.parametrize(
    ("services", "error"),
    [
        (
            "{api: {publish: 9500}, web: {publish: 9500}}",
            "3: port 9500 is already published by api · publish: 9501 is free",
        ),
        (
            "{web: {publish: 9100}, api: {replicas: 2}}",
            "2: port 9100 is already published by api · publish: 9101 is free",
        ),
        ("{web: {publish: 9100}, api: {publish: 9000}}", ""),
        ("{wep: {publish: 9100}}", "2: unknown service: wep · did you mean web?"),
    ],
)
def test_ports_are_compared_as_each_environment_has_them(team: Path, services: str, error: str) -> None:
    service(team, "api", "name: api\nbuild: none\nport: 9100\n")
    (team / "config" / "environments").mkdir()
    text = "services:\n  " + services[1:-1].replace("}, ", "}\n  ") + "\n"
    (team / "config" / "environments" / "local.yaml").write_text(text)
    if error:
        assert errors(team) == [f"config/environments/local.yaml:{error}"]
    else:
        assert load(team).services["api"].published == 9100


@pytest.mark.parametrize(
    ("services", "error"),
    [
        (
            "{api: {expose: {host: a.example.org}}, web: {expose: {host: a.example.org}}}",
            "3: web: api answers at https://a.example.org/ already · another host or path",
        ),
        (
            "{api: {expose: {host: a.example.org}}, web: {expose: {host: a.example.org, path: /x, tls: internal}}}",
            "3: web: api has another `tls` for a.example.org · use the same",
        ),
        ("{api: {expose: {host: a.example.org}}, web: {expose: {host: a.example.org, path: /x}}}", ""),
    ],
)
def test_what_the_world_reaches_is_unambiguous_and_has_one_certificate(team: Path, services: str, error: str) -> None:
    service(team, "api", "name: api\nbuild: none\nport: 9100\n")
    (team / "config" / "environments").mkdir()
    text = "docker: here\nservices:\n  " + services[1:-1].replace("}}, ", "}}\n  ") + "\n"
    (team / "config" / "environments" / "server.yaml").write_text(text)
    if error:
        (found,) = errors(team)
        assert found == f"config/environments/server.yaml:{int(error[0]) + 1}{error[1:]}"
    else:
        assert load(team).environments["server"].services["web"].expose


def test_what_a_service_says_of_the_world_is_for_servers(team: Path) -> None:
    service(team, "api", "name: api\nbuild: none\nport: 9100\nexpose: {host: a.example.org}\n")
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "server.yaml").write_text("docker: box1\n")
    (team / "config" / "hosts.yaml").write_text("hosts: {box1: {address: 192.0.2.1}}\n")
    config = load(team)
    exposed = {name: config.service_for(one, "api").expose is not None for name, one in config.environments.items()}
    assert exposed == {"local": False, "minikube": False, "server": True}


def test_what_no_cluster_has_is_refused(team: Path) -> None:
    (team / "config" / "environments").mkdir()
    text = "services:\n  web: {expose: {host: a.example.org}}\n"
    (team / "config" / "environments" / "minikube.yaml").write_text(text)
    assert errors(team) == [
        "config/environments/minikube.yaml:2: web: `expose` is for a Docker · remove it from this environment"
    ]


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"a": ("b",), "b": ()}, []),
        ({"a": ("b",), "b": ("a",)}, [["a", "b", "a"]]),
        ({"a": ("b",), "b": ("c",), "c": ("a",)}, [["a", "b", "c", "a"]]),
    ],
)
def test_cycles_of_needs_are_found_once(needs: dict[str, tuple[str, ...]], expected: list[list[str]]) -> None:
    assert cycles(needs) == expected
