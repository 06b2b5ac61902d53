"""The paths of a cluster's kinds: known for those that Slipway uses, asked from the API server for all others."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from platformdirs import user_cache_path

from slipway.errors import Problem
from slipway.kubernetes import api
from slipway.kubernetes.objects import Object, group
from slipway.kubernetes.scopes import cluster_scoped

KINDS = {  # by API group: those that Slipway itself uses, so that a run with nothing to do needs no discovery
    "": "ConfigMap Secret Service PersistentVolumeClaim PersistentVolume Pod Event Node Namespace",
    "apps": "Deployment ReplicaSet",
    "autoscaling": "HorizontalPodAutoscaler",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "coordination.k8s.io": "Lease",
    "discovery.k8s.io": "EndpointSlice",
    "policy": "PodDisruptionBudget",
    "storage.k8s.io": "StorageClass",
}
PLURALS = {(group, kind): f"{kind.lower()}s" for group, kinds in KINDS.items() for kind in kinds.split()}
PLURALS["storage.k8s.io", "StorageClass"] = "storageclasses"


class Discovery:
    """The kinds of one cluster."""

    def __init__(self, server: api.Api) -> None:
        self._api = server

    def path(self, document: Object, *, named: bool = True) -> str:
        """The path of an object, or without `named` of its kind in its namespace. Raises Problem for unknown kinds."""
        version, kind, meta = document["apiVersion"], document["kind"], document.get("metadata", {})
        name = meta.get("name", "") if named else ""
        namespace = None if cluster_scoped(document) else meta.get("namespace") or None
        if plural := PLURALS.get((group(document), kind)):
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            inside = f"/namespaces/{namespace}" if namespace else ""
            return f"{root}{inside}/{plural}" + (f"/{name}" if name else "")
        resource = self._resource(version, kind)
        if resource is None:
            summary = f"the cluster has no kind {kind} of {version}"
            raise Problem(summary, hint="is its CustomResourceDefinition installed?")
        given = {"name": name or None, "namespace": namespace if resource.namespaced else None}
        return str(resource.path(**given))

    def has(self, api_version: str, kind: str) -> bool:
        """Whether the cluster has such a kind: a custom one goes with its CustomResourceDefinition."""
        known = (api_version.rpartition("/")[0], kind) in PLURALS
        return known or self._resource(api_version, kind) is not None

    def namespaced(self, one: Object) -> bool | None:
        """Whether an object's kind belongs into a namespace; None for a kind that the cluster does not have."""
        if cluster_scoped(one):
            return False
        if (group(one), one["kind"]) in PLURALS:
            return True
        resource = self._resource(one["apiVersion"], one["kind"])
        return None if resource is None else bool(resource.namespaced)

    def _resource(self, api_version: str, kind: str) -> Any:
        with self._api.translated("the cluster's API can't be read"):
            try:
                return self._discovered.resources.get(api_version=api_version, kind=kind)
            except ResourceNotFoundError:
                return None

    @cached_property
    def _discovered(self) -> DynamicClient:
        """The API server's own list of kinds, cached in a file."""
        cache = user_cache_path("slipway", ensure_exists=True) / f"discovery-{self.identity}.json"
        return _TimeoutClient(self._api.client, cache_file=str(cache))  # type: ignore[no-untyped-call]

    @property
    def identity(self) -> str:
        """What tells this cluster from all others, whatever port a tunnel to it has: its address and its authority."""
        settings, context = self._api.client.configuration, self._api.context
        address = context.name if context.kubeconfig else settings.host
        authority = Path(settings.ssl_ca_cert).read_bytes() if settings.ssl_ca_cert else b""
        return hashlib.sha256(f"{address}\n".encode() + authority).hexdigest()[:16]


class _TimeoutClient(DynamicClient):
    """The official client, with a timeout on every call."""

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        return super().request(method, path, body, **{"_request_timeout": api.TIMEOUT, **params})
