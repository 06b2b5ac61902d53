"""One cluster's API: plain documents in and out, a timeout on every call, errors as problems."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from platformdirs import user_cache_path
from urllib3 import Timeout
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from slipway.errors import Problem, Unreachable
from slipway.kubernetes.objects import Object

MANAGER = "slipway"  # server-side apply's field manager
TIMEOUT = (3.0, 30.0)  # seconds to connect, and between two bytes of an answer
KINDS = """
    ConfigMap Secret Service PersistentVolumeClaim PersistentVolume Pod Deployment ReplicaSet Event Node Namespace Lease
    PodDisruptionBudget HorizontalPodAutoscaler APIService
"""  # those that Slipway itself uses, so that a run with nothing to do needs no discovery
PLURALS = {**{kind: kind.lower() + "s" for kind in KINDS.split()}, "StorageClass": "storageclasses"}
FIX = "./invoke cluster.status tells how the cluster is; ./invoke cluster.start starts a Minikube"


@dataclass(frozen=True)
class Access:
    """How a cluster is reached: a context of the user's kubeconfig on the machine where kubectl runs.

    `kubeconfig` makes a file by which this process reaches it, where that machine is another one.
    """

    context: str
    kubeconfig: Callable[[], str] | None = None

    def kubectl(self, *words: str) -> tuple[str, ...]:
        """A kubectl command line for this cluster."""
        return ("kubectl", "--context", self.context, *words)


@dataclass(frozen=True)
class Conflict:
    """A field that somebody else owns, as server-side apply says it."""

    manager: str
    field: str


class Refused(Exception):
    """The API server's answer was no: an HTTP status, and its words."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.body = status, body


def contested(problem: Problem) -> bool:
    """Whether somebody else was a moment faster (HTTP 409): an object is there already, or is another one by now."""
    return isinstance(problem.__cause__, Refused) and problem.__cause__.status == 409


class Conflicts(Problem):
    """Server-side apply was refused because others own fields."""

    def __init__(self, summary: str, conflicts: tuple[Conflict, ...]) -> None:
        super().__init__(summary, details="\n".join(f"{c.field} is managed by {c.manager}" for c in conflicts))
        self.conflicts = conflicts


class _Hasty(DynamicClient):
    """Kubernetes' own client, with a timeout on every call."""

    def request(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        return super().request(method, path, body, **{"_request_timeout": TIMEOUT, **params})


class Cluster:
    """The API behind an `Access`. Nothing is asked before the first call; `closed` is why nothing may be changed."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.closed: Problem | None = None

    @cached_property
    def _client(self) -> ApiClient:
        settings = Configuration()
        file = self.access.kubeconfig() if self.access.kubeconfig else None
        try:
            config.load_kube_config(file, self.access.context, settings)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            summary = f"there is no kubeconfig context {self.access.context}"
            raise Unreachable(summary, details=str(error), hint="kubectl config get-contexts") from error
        return ApiClient(settings)

    def forget(self) -> None:
        """Read the way in anew at the next call: the cluster was started or made again."""
        self.__dict__.pop("_client", None)

    @cached_property
    def _discovered(self) -> DynamicClient:
        """The API's own list of what it knows; asked only for kinds that are not in `PLURALS`, and kept in a file."""
        cache = user_cache_path("slipway", ensure_exists=True) / f"discovery-{self._identity}.json"
        with self._told("the cluster's API can't be read"):
            return _Hasty(self._client, cache_file=str(cache))  # type: ignore[no-untyped-call]

    @property
    def _identity(self) -> str:
        """What tells this cluster from all others, whatever port a tunnel to it has: its address and its authority."""
        settings = self._client.configuration
        place = self.access.context if self.access.kubeconfig else settings.host
        authority = Path(settings.ssl_ca_cert).read_bytes() if settings.ssl_ca_cert else b""
        return hashlib.sha256(f"{place}\n".encode() + authority).hexdigest()[:16]

    def path(self, document: Object, *, named: bool = True) -> str:
        """The path of an object, or without `named` of its kind in its namespace."""
        version, kind, meta = document["apiVersion"], document["kind"], document.get("metadata", {})
        name = meta.get("name", "") if named else ""
        namespace = meta.get("namespace")
        if kind in PLURALS:
            group = f"/apis/{version}" if "/" in version else f"/api/{version}"
            where = f"/namespaces/{namespace}" if namespace else ""
            return f"{group}{where}/{PLURALS[kind]}" + (f"/{name}" if name else "")
        try:
            resource = self._discovered.resources.get(api_version=version, kind=kind)
        except ResourceNotFoundError as error:
            summary = f"the cluster knows no {kind} of {version}"
            raise Problem(summary, hint="is its CustomResourceDefinition installed?") from error
        given = {"name": name or None, "namespace": namespace if resource.namespaced else None}
        return str(resource.path(**given))

    def knows(self, api_version: str, kind: str) -> bool:
        """Whether the cluster has such a kind: it goes with its CustomResourceDefinition."""
        if kind in PLURALS:
            return True
        try:
            self._discovered.resources.get(api_version=api_version, kind=kind)
        except ResourceNotFoundError:
            return False
        return True

    def call(self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        """One call by its path; the answer as plain data. Raises Problem."""
        with self._told(f"{method} {path} was refused"):
            return self._data(method, path, body, query)

    def _data(self, method: str, path: str, body: Any, query: Mapping[str, str] | None, kind: str = "") -> Any:
        answer = self._raw(method, path, body, query, kind)
        try:
            return json.loads(answer.read(decode_content=True))
        finally:
            answer.release_conn()

    def _raw(
        self, method: str, path: str, body: Any, query: Mapping[str, str] | None, kind: str = ""
    ) -> BaseHTTPResponse:
        """One call over the client's own pool: its TLS, its certificates, its token. Raises Refused by status."""
        if self.closed and method != "GET":
            raise self.closed
        api = self._client
        headers = {"Accept": "application/json", "Content-Type": kind or "application/json"}
        if token := api.configuration.auth_settings().get("BearerToken"):
            headers["Authorization"] = token["value"]
        url = api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else json.dumps(body).encode()
        timeout = Timeout(*TIMEOUT)
        pool = api.rest_client.pool_manager
        answer = pool.request(
            method, url, body=content, headers=headers, timeout=timeout, retries=False, preload_content=False
        )
        if answer.status >= 400:
            raise Refused(answer.status, answer.read(decode_content=True))
        return answer

    def list(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[Object]:
        """All objects of a kind, as plain data."""
        path = self.path({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace}}, named=False)
        answer = self.call("GET", path, query={"labelSelector": selector} if selector else None)
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer["items"]]

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None where it is not there."""
        meta = {"name": name, "namespace": namespace}
        path = self.path({"apiVersion": api_version, "kind": kind, "metadata": meta})
        with self._told(f"{kind} {name} can't be read"):
            try:
                return dict(self._data("GET", path, None, None))
            except Refused as error:
                if error.status == 404:
                    return None
                raise

    def apply(self, document: Object, *, force: bool = False, dry: bool = False) -> Object:
        """Server-side apply as `slipway`; `dry` only asks. Raises Conflicts naming fields of others, unless `force`."""
        path, meta = self.path(document), document["metadata"]
        query = {"fieldManager": MANAGER, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry:
            query["dryRun"] = "All"
        summary = f"{document['kind']} {meta['name']} could not be applied"
        with self._told(summary):
            try:
                return dict(self._data("PATCH", path, dict(document), query, "application/apply-patch+yaml"))
            except Refused as error:
                if error.status == 409:
                    raise Conflicts(summary, conflicts(error.body)) from error
                raise

    def create(self, document: Object) -> Object:
        """Make an object. Raises Problem, also if it is there already."""
        path = self.path(document, named=False)
        return dict(self.call("POST", path, body=dict(document), query={"fieldManager": MANAGER}))

    def patch(self, document: Object, change: Mapping[str, Any]) -> Object:
        """Merge a change into an object (RFC 7386)."""
        path, meta = self.path(document), document["metadata"]
        with self._told(f"{document['kind']} {meta['name']} could not be changed"):
            query = {"fieldManager": MANAGER}
            return dict(self._data("PATCH", path, change, query, "application/merge-patch+json"))

    def delete(self, document: Object, *, grace: int | None = None, only: bool = False) -> None:
        """Delete an object and what it owns; one that is not there is gone already.

        `only` the very one, by its uid, and as it was seen, where `document` has its resourceVersion.
        """
        path, meta = self.path(document), document["metadata"]
        body: dict[str, Any] = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if only:
            body["preconditions"] = {key: meta[key] for key in ("uid", "resourceVersion") if key in meta}
        with self._told(f"{document['kind']} {meta['name']} could not be deleted"):
            try:
                self._data("DELETE", path, body, None)
            except Refused as error:
                if error.status != 404:
                    raise

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """The lines of an answer that goes on: a watch, a log. Ends when the server ends it, or the line breaks."""
        with self._told(f"{path} can't be read"):
            answer = self._raw("GET", path, None, query)
        rest = b""
        try:
            for chunk in answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except HTTPError:
            pass
        finally:
            answer.release_conn()
        if rest:
            yield rest

    @contextmanager
    def _told(self, summary: str) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            raise Problem(summary, details=said(error.body)) from error
        except ApiException as error:  # of the client's own discovery
            raise Problem(summary, details=said(error.body) or str(error.reason)) from error
        except (HTTPError, OSError) as error:
            details = str(error)[:400]
            name = f"the cluster behind context {self.access.context} does not answer"
            raise Unreachable(name, details=details, hint=FIX) from error


def said(body: Any) -> str:
    """What the API server says of an error: its message."""
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(body or "")


def conflicts(body: Any) -> tuple[Conflict, ...]:
    """The fields in a 409 of server-side apply, and who owns them."""
    try:
        causes = json.loads(body)["details"]["causes"]
    except (TypeError, ValueError, KeyError):
        return ()
    found = []
    for cause in causes:
        manager = str(cause.get("message", "")).partition('"')[2].partition('"')[0]
        found.append(Conflict(manager, str(cause.get("field", "")).removeprefix(".")))
    return tuple(found)
