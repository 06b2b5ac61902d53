"""The API client: a cluster's identity, its timeouts, and what server-side apply's conflicts say."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

import pytest

from slipway.errors import Problem
from slipway.kubernetes import client
from slipway.kubernetes.client import Access, Cluster, conflicts


def test_conflicts_name_manager_and_field() -> None:
    body = {"details": {"causes": [{"message": 'conflict with "argo" using apps/v1', "field": ".spec.replicas"}]}}
    found = conflicts(json.dumps(body).encode())
    assert [(c.manager, c.field) for c in found] == [("argo", "spec.replicas")]


def test_kubectl_names_the_context() -> None:
    words = Access("minikube").kubectl("get", "pods")
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
        names.append(Cluster(Access("x", lambda way=way: way))._identity)  # type: ignore[misc]
    assert names[0] == names[1] != names[2]


def test_an_api_that_never_answers_is_told_though_its_kinds_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(client, "TIMEOUT", (0.2, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        way = kubeconfig(tmp_path, b"", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(Problem, match="does not answer"):
            Cluster(Access("x", lambda: way)).knows("example.org/v1", "Rule")
