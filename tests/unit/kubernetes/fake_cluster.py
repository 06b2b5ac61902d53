# ruff: noqa: ARG002  one version of every kind
"""A cluster in memory, for tests: server-side apply by field managers; a Deployment is ready at once, or `broken`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from slipway.errors import ApiRefused, ApplyConflict, FieldConflict, Problem
from slipway.kubernetes.api import KubeContext
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.labels import FIELD_MANAGER
from slipway.kubernetes.objects import Object, group
from slipway.kubernetes.scopes import cluster_scoped, defines

Json = dict[str, Any]
Path = tuple[str, ...]
HOME = "hh"  # the namespace of almost all tests


class FakeCluster(Client):
    """Lists are atomic; `broken` are images whose rollout never ends; `changes` are what was done, in turn."""

    def __init__(self) -> None:
        super().__init__(KubeContext("memory"))
        self.objects: dict[tuple[str, str], Json] = {}
        self.broken: set[str] = set()
        self.changes: list[str] = []
        self.one_namespace = False  # whether the user has rights on one namespace alone
        self._version = 0

    def apply(self, document: Object, *, force: bool = False, dry_run: bool = False) -> Json:
        self._require_served(document)
        key, wanted = _key(document), copy.deepcopy(dict(document))
        stored = self.objects.get(key, wanted)
        if wanted["kind"] == "Job" and wanted["spec"]["template"] != stored["spec"]["template"]:
            text = "spec.template: Invalid value: core.PodTemplateSpec{}: field is immutable"
            raise ApiRefused("it could not be applied", status=HTTPStatus.UNPROCESSABLE_ENTITY, details=text)
        live = copy.deepcopy(self.objects.get(key, {**wanted, "metadata": {**wanted["metadata"], "managedFields": []}}))
        entries = live["metadata"]["managedFields"]
        new, conflicts = set(_leaves(wanted)), []
        for entry in (e for e in entries if (e["manager"], e["operation"]) != (FIELD_MANAGER, "Apply")):
            theirs = set(_paths(entry["fieldsV1"]))
            taken = {p for p in new & theirs if _at(live, p) != _at(wanted, p)}
            conflicts += [FieldConflict(entry["manager"], ".".join(p)) for p in sorted(taken)]
            entry["fieldsV1"] = _tree(theirs - taken)
        if conflicts and not force:
            raise ApplyConflict(f"{key[0]} {key[1]} could not be applied", tuple(conflicts))
        mine = next((e for e in entries if (e["manager"], e["operation"]) == (FIELD_MANAGER, "Apply")), None)
        held = {p for e in entries if e is not mine for p in _paths(e["fieldsV1"])}
        for path in set(_paths(mine["fieldsV1"]) if mine else ()) - new - held:
            _remove(live, path)
        for path in new:
            _set(live, path, _at(wanted, path))
        entries[:] = [e for e in entries if e is not mine and e["fieldsV1"]]
        entries.append({"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": _tree(new)})
        return live if dry_run else self._store(live, "apply")

    def _require_served(self, document: Object) -> None:
        """Refuse what an API server refuses: an unknown kind, a namespace where there can be none."""
        namespaced = self.namespaced(document)
        if namespaced is None:
            raise Problem(f"the cluster has no kind {document['kind']} of {document['apiVersion']}")
        if not namespaced and document["metadata"].get("namespace"):
            raise ApiRefused("not found", status=HTTPStatus.NOT_FOUND, details="the wrong scope")

    def by_hand(self, kind: str, name: str, manager: str, change: Json, subresource: str = "") -> None:
        """A change of another manager, as kubectl and controllers make it."""
        live = self.objects[kind, name]
        fields = set(_leaves(change))
        for entry in live["metadata"]["managedFields"]:
            entry["fieldsV1"] = _tree(set(_paths(entry["fieldsV1"])) - fields)
        for path in fields:
            _set(live, path, _at(change, path))
        entry = {"manager": manager, "operation": "Update", "fieldsV1": _tree(fields)}
        live["metadata"]["managedFields"].append({**entry, **({"subresource": subresource} if subresource else {})})

    def _open(self) -> None:
        if self.lost_lease:
            raise self.lost_lease

    def _store(self, live: Json, change_name: str) -> Json:
        self._open()
        key = _key(live)
        if live["kind"] == "Deployment":
            live["spec"].setdefault("replicas", 1)
        if live["kind"] == "Secret" and "stringData" in live:
            import base64

            values = {k: base64.b64encode(v.encode()).decode() for k, v in live.pop("stringData").items()}
            live["data"] = {**live.get("data", {}), **values}
        self._version += 1
        live["metadata"]["resourceVersion"] = str(self._version)
        live["metadata"].setdefault("uid", f"uid-{self._version}")
        self.objects[key] = live
        self.changes.append(f"{change_name} {key[0]} {key[1]}")
        return self._seen(live)

    def create(self, document: Object) -> Json:
        if _key(document) in self.objects:
            raise _conflict(f"{document['kind']} could not be made", "already exists")
        return self._store(copy.deepcopy({**document}), "create")

    def patch(self, document: Object, change: Mapping[str, Any]) -> Json:
        if _key(document) not in self.objects:
            raise ApiRefused("it could not be changed", status=HTTPStatus.NOT_FOUND, details="not found")
        live = copy.deepcopy(self.objects[_key(document)])
        if change.get("metadata", {}).get("resourceVersion", version := live["metadata"]["resourceVersion"]) != version:
            raise _conflict("it could not be changed", "the object has been modified")
        _merge(live, copy.deepcopy(dict(change)))
        return self._store(live, "patch")

    def delete_if_unchanged(self, document: Object) -> None:
        self._open()
        meta = self.objects.get(_key(document), {}).get("metadata", {})
        if any(meta.get(k, v) != v for k, v in document["metadata"].items() if k in ("uid", "resourceVersion")):
            raise _conflict("it could not be deleted", "Precondition failed")
        self.delete(document)

    def delete(self, document: Object, *, grace: int | None = None) -> None:
        self._open()
        if self.objects.pop(_key(document), None):
            self.changes.append(f"delete {document['kind']} {document['metadata']['name']}")

    def delete_with_dependents(self, document: Object) -> None:
        self.delete(document)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Json | None:
        self._require_rights({"apiVersion": api_version, "kind": kind}, namespace)
        key = _key({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}})
        return self._seen(self.objects[key]) if key in self.objects else None

    def list(self, api_version: str, kind: str, namespace: str | None, selector: str = "") -> list[Object]:
        self._require_rights({"apiVersion": api_version, "kind": kind}, namespace)
        wanted = dict(pair.split("=") for pair in selector.split(",") if pair)
        key = _key({"apiVersion": api_version, "kind": kind, "metadata": {"name": ""}})[0]
        found = [o for (k, _), o in list(self.objects.items()) if k == key]
        found = [o for o in found if not namespace or o["metadata"].get("namespace", namespace) == namespace]
        return [self._seen(o) for o in found if wanted.items() <= o["metadata"].get("labels", {}).items()]

    def has_kind(self, api_version: str, kind: str) -> bool:
        one = {"apiVersion": api_version, "kind": kind}
        return _is_built_in(one) or self._definition(one) is not None

    def namespaced(self, one: Object) -> bool | None:
        if _is_built_in(one):
            return not cluster_scoped(one)
        definition = self._definition(one)
        return None if definition is None else bool(definition["spec"]["scope"] == "Namespaced")

    def _require_rights(self, one: Object, namespace: str | None) -> None:
        if self.one_namespace and (cluster_scoped(one) or not namespace):
            details = f'{one["kind"]} is forbidden: User "me" cannot get it at the cluster scope'
            raise ApiRefused("GET was refused", status=HTTPStatus.FORBIDDEN, details=details)

    def _definition(self, one: Object) -> Json | None:
        found = (o for (k, _), o in self.objects.items() if k == "CustomResourceDefinition")
        return next((o for o in found if defines(o, one)), None)

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        yield b""

    def _seen(self, live: Json) -> Json:
        found = copy.deepcopy(live)
        if live["kind"] == "CustomResourceDefinition":
            found["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        if live["kind"] == "Deployment":
            want = live["spec"]["replicas"]
            image = live["spec"]["template"]["spec"]["containers"][0]["image"]
            done = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), want)
            stuck = {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}
            found["metadata"]["generation"] = 1
            found["status"] = {"observedGeneration": 1, **(stuck if image in self.broken else done)}
        return found


def _conflict(summary: str, details: str) -> ApiRefused:
    return ApiRefused(summary, status=HTTPStatus.CONFLICT, details=details)


def _is_built_in(one: Object) -> bool:
    return "." not in group(one) or group(one).endswith(".k8s.io")


def _key(document: Object) -> tuple[str, str]:
    """Kind and name; a custom kind has its API group behind it, and a name outside HOME its namespace in front."""
    kind, meta = document["kind"], document["metadata"]
    name = meta["name"] if meta.get("namespace") in {None, HOME} else f"{meta['namespace']}/{meta['name']}"
    return kind if _is_built_in(document) else f"{kind}.{group(document)}", name


def _leaves(value: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    for key, inner in value.items():
        where = (*path, key)
        if where in {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}:
            continue
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, where)
        else:
            yield where


def _paths(fields: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    for key, inner in fields.items():
        where = (*path, key.removeprefix("f:"))
        if inner:
            yield from _paths(inner, where)
        else:
            yield where


def _tree(paths: set[Path]) -> Json:
    found: Json = {}
    for path in paths:
        place = found
        for key in path:
            place = place.setdefault(f"f:{key}", {})
    return found


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _set(value: Json, path: Path, new: Any) -> None:
    for key in path[:-1]:
        value = value.setdefault(key, {})
    value[path[-1]] = copy.deepcopy(new)


def _remove(value: Any, path: Path) -> None:
    for key in path[:-1]:
        value = value.get(key, {})
    value.pop(path[-1], None)


def _merge(value: Json, change: Mapping[str, Any]) -> None:
    for key, new in change.items():
        if isinstance(new, Mapping):
            _merge(value.setdefault(key, {}), new)
        elif new is None:
            value.pop(key, None)
        else:
            value[key] = new
