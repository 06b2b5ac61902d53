"""Which kinds belong to no namespace, held against the kubernetes package, which has a method for each."""

from __future__ import annotations

import inspect
import re

import kubernetes.client
import pytest

from slipway.kubernetes.api import Api, KubeContext
from slipway.kubernetes.discovery import Discovery
from slipway.kubernetes.scopes import CLUSTER_SCOPED, DEFINITION


def created_at_cluster_scope() -> set[str]:
    """The kinds, in lower case, of all `create_KIND` that take no namespace, of every API of the package."""
    found: set[str] = set()
    for name, one in inspect.getmembers(kubernetes.client, inspect.isclass):
        if re.fullmatch(r"[A-Z]\w*V\d\w*Api", name):
            methods = (re.fullmatch(r"create_(?!namespaced_)(\w+?)(_with_http_info)?", method) for method in dir(one))
            found |= {method[1].replace("_", "") for method in methods if method}
    reviews = {kind for kind in found if kind.endswith("review")}  # questions, which nobody can write a manifest of
    return found - reviews


def test_every_kind_of_kubernetes_that_belongs_to_no_namespace_is_known() -> None:
    assert created_at_cluster_scope() <= {kind.lower() for _, kind in CLUSTER_SCOPED}
    assert DEFINITION in CLUSTER_SCOPED


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("v1", "PersistentVolume", "/api/v1/persistentvolumes/x"),
        ("storage.k8s.io/v1", "StorageClass", "/apis/storage.k8s.io/v1/storageclasses/x"),
        ("v1", "Namespace", "/api/v1/namespaces/x"),
        ("v1", "ConfigMap", "/api/v1/namespaces/shop/configmaps/x"),
        ("apps/v1", "Deployment", "/apis/apps/v1/namespaces/shop/deployments/x"),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x",
        ),
    ],
)
def test_a_kind_that_slipway_uses_has_its_path_without_a_question(api_version: str, kind: str, path: str) -> None:
    one = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}}
    assert Discovery(Api(KubeContext("none"))).path(one) == path
