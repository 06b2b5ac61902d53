"""Own objects that clash with what a service file makes, with what Slipway keeps, or with each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.load import load
from tests.unit.config.conftest import PLAIN, errors, service

RICH = PLAIN + "replicas: 1\nautoscale: {max: 3}\n"


def own(team: Path, text: str, name: str = "own.yaml", of: str = "web") -> None:
    folder = team / "apps" / of / "manifests"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def manifest(api_version: str, kind: str, name: str, namespace: str = "") -> str:
    where = f", namespace: {namespace}" if namespace else ""
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: {name}{where}}}\n"


@pytest.mark.parametrize(
    ("api_version", "kind", "name", "hint"),
    [
        ("v1", "Service", "web", "give it another name, such as web-public, with `selector: {app.kubernetes.io/name: web}`"),
        ("v1", "Service", "api", "give it another name, such as api-public, with `selector: {app.kubernetes.io/name: api}`"),
        ("apps/v1", "Deployment", "web", "give it another name; what service.yaml can't say of its Deployment, Slipway does not change"),
        ("policy/v1", "PodDisruptionBudget", "web", "give it another name: pods may have several budgets, of which the strictest counts"),
        ("autoscaling/v1", "HorizontalPodAutoscaler", "web", "change `autoscale` in service.yaml instead, or remove it there"),
        ("v1", "PersistentVolumeClaim", "api-data", "change `storage` in service.yaml instead, or give it another name"),
    ],
)  # fmt: skip
def test_an_object_that_a_service_file_makes_is_refused_with_what_to_do(
    team: Path, api_version: str, kind: str, name: str, hint: str
) -> None:
    service(team, "web", RICH)
    service(team, "api", "name: api\nbuild: none\nstorage: {data: {path: /d}}\n")
    own(team, manifest(api_version, kind, name))
    maker = name.partition("-")[0]
    assert errors(team) == [
        f"apps/web/manifests/own.yaml:3: {kind} {name} is made from service.yaml of {maker} already · {hint}"
    ]


@pytest.mark.parametrize("kind", ["Secret"])
@pytest.mark.parametrize("name", ["slipway.generated", "slipway.web.release.0001"])
def test_the_names_of_slipways_own_state_are_taken(team: Path, kind: str, name: str) -> None:
    own(team, manifest("v1", kind, name))
    assert f"{kind} {name} is where Slipway keeps its own state" in errors(team)[0]


def test_an_object_that_is_there_twice_is_refused(team: Path) -> None:
    service(team, "api", "name: api\nbuild: none\n")
    own(team, manifest("v1", "ConfigMap", "shared"))
    own(team, manifest("v1", "ConfigMap", "shared"), "more.yaml", "api")
    assert len(errors(team)) == 1
    assert "ConfigMap shared is in " in errors(team)[0]


@pytest.mark.parametrize(
    "text",
    [
        manifest("serving.knative.dev/v1", "Service", "web"),
        manifest("v1", "Service", "web-public"),
        manifest("v1", "ConfigMap", "web"),
        manifest("v1", "ServiceAccount", "web"),
        manifest("v1", "Service", "web", "monitoring"),
        manifest("autoscaling/v2", "HorizontalPodAutoscaler", "web"),  # the service file has no `autoscale`
        manifest("v1", "ConfigMap", "a") + "---\n" + manifest("v1", "ConfigMap", "a", "other"),
    ],
)
def test_what_has_another_group_kind_name_or_namespace_is_no_clash(team: Path, text: str) -> None:
    own(team, text)
    assert load(team).services["web"].name == "web"


def test_an_environments_own_namespace_is_the_services_place(team: Path) -> None:
    (team / "config" / "environments").mkdir()
    (team / "config" / "environments" / "staging.yaml").write_text(
        "cluster: {kind: context, context: c}\nnamespace: shop-staging\n"
    )
    for namespace in ("shop-staging", "shop"):
        own(team, manifest("v1", "Service", "web", namespace))
        assert "Service web is made from service.yaml of web already" in errors(team)[0]
