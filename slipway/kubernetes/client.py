"""One cluster: its objects read, applied, created, patched and deleted as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from slipway.errors import ApiRefused, Problem
from slipway.kubernetes.api import Api, Call, KubeContext, apply_refused
from slipway.kubernetes.discovery import Discovery
from slipway.kubernetes.manifests.labels import FIELD_MANAGER
from slipway.kubernetes.objects import Object


class Client:
    """The objects of the cluster behind a context. Nothing is asked before the first call.

    Every method raises ApiRefused where the API server refuses, and Unreachable where it does not answer.
    `lost_lease` is set once another run holds the namespace: every change raises it then.
    """

    def __init__(self, context: KubeContext) -> None:
        self.context = context
        self.lost_lease: Problem | None = None
        self._api = Api(context)
        self._discovery = Discovery(self._api)

    def forget(self) -> None:
        """Read the kubeconfig again for the next call: the cluster was started or created again."""
        self._api.forget()

    def has_kind(self, api_version: str, kind: str) -> bool:
        """Whether the cluster has such a kind: a custom one goes with its CustomResourceDefinition."""
        return self._discovery.has(api_version, kind)

    def namespaced(self, one: Object) -> bool | None:
        """Whether an object's kind belongs into a namespace; None for a kind that the cluster does not have."""
        return self._discovery.namespaced(one)

    def read(self, path: str) -> Any:
        """The answer to a GET of a path."""
        return self._request(Call("GET", path, f"GET {path} was refused"))

    def list(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[Object]:
        """All objects of a kind, of all namespaces where none is given. `selector` is one of labels."""
        document = {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace}}
        path = self._discovery.path(document, named=False)
        query = {"labelSelector": selector} if selector else None
        answer = self._request(Call("GET", path, f"GET {path} was refused", query=query))
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer["items"]]

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None where there is none."""
        meta = {"name": name, "namespace": namespace}
        path = self._discovery.path({"apiVersion": api_version, "kind": kind, "metadata": meta})
        try:
            return dict(self._request(Call("GET", path, f"{kind} {name} can't be read")))
        except ApiRefused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def apply(self, document: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply. `force` takes fields over from other managers; `dry_run` changes nothing.

        Raises ApplyConflict, which names those fields, without `force`.
        """
        query = {"fieldManager": FIELD_MANAGER, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        call = self._call("PATCH", document, "applied", body=dict(document), query=query)
        return dict(self._request(replace(call, content_type="application/apply-patch+yaml", refused=apply_refused)))

    def create(self, document: Object) -> Object:
        """Make an object. One that exists is refused with status 409."""
        path = self._discovery.path(document, named=False)
        query = {"fieldManager": FIELD_MANAGER}
        return dict(self._request(Call("POST", path, f"POST {path} was refused", body=dict(document), query=query)))

    def patch(self, document: Object, change: Mapping[str, Any]) -> Object:
        """Merge a change into an object (RFC 7386). One with another resourceVersion is refused with status 409."""
        call = self._call("PATCH", document, "changed", body=change, query={"fieldManager": FIELD_MANAGER})
        return dict(self._request(replace(call, content_type="application/merge-patch+json")))

    def delete(self, document: Object, *, grace: int | None = None) -> None:
        """Delete an object and what it owns, if it exists. `grace` is in seconds."""
        self._delete(document, {} if grace is None else {"gracePeriodSeconds": grace})

    def delete_with_dependents(self, document: Object) -> None:
        """Delete an object once what it owns is gone: it exists until then."""
        self._delete(document, {"propagationPolicy": "Foreground"})

    def delete_if_unchanged(self, document: Object) -> None:
        """Delete the very object that was seen, by its uid, and by its resourceVersion where `document` has one.

        Another one of that name, or one that was changed since, is refused with status 409.
        """
        meta = document["metadata"]
        self._delete(document, {"preconditions": {k: meta[k] for k in ("uid", "resourceVersion") if k in meta}})

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """The lines of an answer that goes on: a watch, a log. Ends when the server or a broken connection ends it."""
        return self._api.stream(Call("GET", path, f"{path} can't be read", query=query))

    def _delete(self, document: Object, options: Mapping[str, Any]) -> None:
        try:
            self._request(
                self._call("DELETE", document, "deleted", body={"propagationPolicy": "Background", **options})
            )
        except ApiRefused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise

    def _call(self, method: str, document: Object, verb: str, *, body: object, query: Any = None) -> Call:
        summary = f"{document['kind']} {document['metadata']['name']} could not be {verb}"
        return Call(method, self._discovery.path(document), summary, body, query)

    def _request(self, call: Call) -> Any:
        if self.lost_lease and call.method != "GET":
            raise self.lost_lease
        return self._api.request(call)
