"""The API client: what it makes of refusals, timeouts and conflicts, and how it distinguishes clusters."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipway.errors import ApiRefused, ApplyConflict, FieldConflict, Problem
from slipway.kubernetes import api
from slipway.kubernetes.api import Api, KubeContext, encoded, field_conflicts
from slipway.kubernetes.client import Client
from slipway.kubernetes.discovery import Discovery
from tests.unit.kubernetes.rendered import Json

CONFLICT = {"details": {"causes": [{"message": 'conflict with "argo" using apps/v1', "field": ".spec.replicas"}]}}


class Refusing(BaseHTTPRequestHandler):
    """An API server that refuses: `taken` with 409, which names a field, `gone` with 404, all else with 403.

    It takes half a second for `slow`.
    """

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = self.path.partition("?")[0].rpartition("/")[2]
        if name == "slow":
            time.sleep(0.5)
        status = {"taken": 409, "gone": 404}.get(name, 403)
        body = json.dumps({"message": f"{name} is refused", **(CONFLICT if name == "taken" else {})}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PATCH = do_DELETE = do_POST = answer  # noqa: N815  the names that the base class calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing(tmp_path: Path) -> Iterator[Client]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        file = kubeconfig(tmp_path, b"", f"http://127.0.0.1:{server.server_port}")
        yield Client(KubeContext("x", lambda: file))
        server.shutdown()


def config_map(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "hh"}}


def test_a_refusal_has_its_status_and_the_servers_message(refusing: Client) -> None:
    with pytest.raises(ApiRefused, match="ConfigMap mine could not be applied") as raised:
        refusing.apply(config_map("mine"))
    assert (raised.value.status, raised.value.details) == (403, "mine is refused")
    assert not isinstance(raised.value, ApplyConflict)


def test_a_conflict_of_an_apply_has_the_fields_and_one_of_a_patch_is_a_plain_refusal(refusing: Client) -> None:
    with pytest.raises(ApplyConflict) as raised:
        refusing.apply(config_map("taken"))
    assert raised.value.conflicts == (FieldConflict("argo", "spec.replicas"),)
    assert raised.value.details == "spec.replicas is managed by argo"
    with pytest.raises(ApiRefused) as refused:
        refusing.patch(config_map("taken"), {})
    assert (type(refused.value), refused.value.status) == (ApiRefused, 409)


@pytest.mark.parametrize(("limits", "answers"), [((0.2, 5.0), True), ((5.0, 0.2), False)])
def test_an_answer_may_take_longer_than_to_connect(
    refusing: Client, monkeypatch: pytest.MonkeyPatch, limits: tuple[float, float], answers: bool
) -> None:
    monkeypatch.setattr(api, "TIMEOUT", limits)
    with pytest.raises(Problem) as raised:
        refusing.apply(config_map("slow"))
    assert isinstance(raised.value, ApiRefused) is answers


def test_an_object_that_does_not_exist_is_none_and_is_deleted_already(refusing: Client) -> None:
    assert refusing.get("v1", "ConfigMap", "gone", "hh") is None
    refusing.delete(config_map("gone"))
    with pytest.raises(ApiRefused, match="ConfigMap mine could not be deleted"):
        refusing.delete(config_map("mine"))


def test_nothing_is_changed_once_the_lease_is_lost(refusing: Client) -> None:
    refusing.lost_lease = Problem("the lease was lost")
    for change in (refusing.apply, refusing.create, refusing.delete, refusing.delete_if_unchanged):
        with pytest.raises(Problem, match="the lease was lost"):
            change(config_map("gone"))
    assert refusing.get("v1", "ConfigMap", "gone", "hh") is None


def test_conflicts_name_manager_and_field() -> None:
    found = field_conflicts(json.dumps(CONFLICT).encode())
    assert [(c.manager, c.field) for c in found] == [("argo", "spec.replicas")]


def test_kubectl_names_the_context() -> None:
    words = KubeContext("minikube").kubectl("get", "pods")
    assert words == ("kubectl", "--context", "minikube", "get", "pods")


def kubeconfig(folder: Path, authority: bytes, server: str = "https://192.0.2.1:6443") -> str:
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": cluster}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
    }
    file = folder / f"{hash(authority)}.json"
    file.write_text(json.dumps(found))
    return str(file)


def test_what_is_kept_of_a_clusters_api_is_found_again_by_its_authority(tmp_path: Path) -> None:
    names = []
    for authority in (b"one", b"one", b"two"):
        way = kubeconfig(tmp_path, authority)
        names.append(Discovery(Api(KubeContext("x", lambda way=way: way))).identity)  # type: ignore[misc]
    assert names[0] == names[1] != names[2]


class Discovering(BaseHTTPRequestHandler):
    """An API server with one group, which has a kind of each scope."""

    ANSWERS: ClassVar[dict[str, Json]] = {
        "/version": {"major": "1", "minor": "34"},
        "/api": {"kind": "APIVersions", "versions": []},
        "/apis": {"kind": "APIGroupList", "groups": [{"name": "example.org", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}]},
        "/apis/example.org/v1": {"kind": "APIResourceList", "groupVersion": "example.org/v1", "resources": [
            {"name": "widgets", "singularName": "widget", "namespaced": True, "kind": "Widget", "verbs": ["get"]},
            {"name": "zones", "singularName": "zone", "namespaced": False, "kind": "Zone", "verbs": ["get"]},
        ]},
    }  # fmt: skip

    def do_GET(self) -> None:
        found = self.ANSWERS.get(self.path.partition("?")[0].rstrip("/"))
        body = json.dumps(found or {}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_the_cluster_says_whether_a_custom_kind_belongs_into_a_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), Discovering) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        file = kubeconfig(tmp_path, b"", f"http://127.0.0.1:{server.server_port}")
        discovery = Discovery(Api(KubeContext("x", lambda: file)))
        for kind, namespaced, path in (("Widget", True, "namespaces/hh/widgets/w"), ("Zone", False, "zones/w")):
            one = {"apiVersion": "example.org/v1", "kind": kind, "metadata": {"name": "w", "namespace": "hh"}}
            assert (discovery.namespaced(one), discovery.path(one)) == (namespaced, f"/apis/example.org/v1/{path}")
        unknown = {"apiVersion": "example.org/v1", "kind": "Gone", "metadata": {"name": "w"}}
        assert discovery.namespaced(unknown) is None
        server.shutdown()


def test_an_api_that_never_answers_is_reported_by_discovery_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(api, "TIMEOUT", (0.2, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        way = kubeconfig(tmp_path, b"", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Problem, match="does not answer") as raised:
            Client(KubeContext("x", lambda: way)).has_kind("example.org/v1", "Rule")
    assert raised.value.hint == "see its state; a cluster that Slipway made can be started"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\U0001f600 \x7f\x85\u2028\ufeff\ufffe\\ud83d\\u0085\n\t")
def test_what_is_applied_is_json_and_the_same_as_yaml(text: str) -> None:
    """The API server reads it as YAML. libyaml is what its reader, go-yaml v2, was ported from."""
    body = encoded({"data": {text: text}})
    assert json.loads(body) == yaml.load(body.decode(), yaml.CSafeLoader) == {"data": {text: text}}
