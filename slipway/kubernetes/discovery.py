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
from slipway.kubernetes.objects import Object

KINDS = """
    ConfigMap Secret Service PersistentVolumeClaim PersistentVolume Pod Deployment ReplicaSet Event Node Namespace Lease
    PodDisruptionBudget HorizontalPodAutoscaler APIService
"""  # those that Slipway itself uses, so that a run with nothing to do needs no discovery
PLURALS = {**{kind: kind.lower() + "s" for kind in KINDS.split()}, "StorageClass": "storageclasses"}


class Discovery:
    """The kinds of one cluster."""

    def __init__(self, server: api.Api) -> None:
        self._api = server

    def path(self, document: Object, *, named: bool = True) -> str:
        """The path of an object, or without `named` of its kind in its namespace. Raises Problem for unknown kinds."""
        version, kind, meta = document["apiVersion"], document["kind"], document.get("metadata", {})
        name = meta.get("name", "") if named else ""
        namespace = meta.get("namespace")
        if kind in PLURALS:
            group = f"/apis/{version}" if "/" in version else f"/api/{version}"
            inside = f"/namespaces/{namespace}" if namespace else ""
            return f"{group}{inside}/{PLURALS[kind]}" + (f"/{name}" if name else "")
        resource = self._resource(version, kind)
        if resource is None:
            summary = f"the cluster has no kind {kind} of {version}"
            raise Problem(summary, hint="is its CustomResourceDefinition installed?")
        given = {"name": name or None, "namespace": namespace if resource.namespaced else None}
        return str(resource.path(**given))

    def has(self, api_version: str, kind: str) -> bool:
        """Whether the cluster has such a kind: a custom one goes with its CustomResourceDefinition."""
        return kind in PLURALS or self._resource(api_version, kind) is not None

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
