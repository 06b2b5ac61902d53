"""Drift: what somebody changed by hand, by comparing the objects that are wanted with the live ones. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.errors import FieldConflict
from slipway.kubernetes.binary import same_bytes
from slipway.kubernetes.jobs import expires
from slipway.kubernetes.manifests.labels import FIELD_MANAGER, VALUES, values_fingerprint
from slipway.kubernetes.objects import Object, identity
from slipway.kubernetes.quantities import Keys, same_quantity

IGNORED_ANNOTATIONS = ("kubectl.kubernetes.io/restartedAt", "kubectl.kubernetes.io/last-applied-configuration")
PERSON = re.compile(r"kubectl(-|$)|Mozilla|node-fetch")  # field managers behind which is a person: kubectl, a dashboard
AUTOSCALER = FieldConflict("kube-controller-manager", "spec.replicas")  # the cluster's own: it goes with `autoscale`


def of_another_tool(conflict: FieldConflict) -> bool:
    """Whether a field belongs to another tool; those that a person or an autoscaler set are Slipway's to take over."""
    manager = conflict.manager
    return not (manager == FIELD_MANAGER or PERSON.match(manager) or conflict == AUTOSCALER)


def differences(wanted: Sequence[Object], live: Sequence[Object]) -> list[str]:
    """How the live objects differ from the wanted ones, one line per object."""
    by_identity = {identity(one): one for one in live}
    found = []
    for one in wanted:
        kind, name = one["kind"], one["metadata"]["name"]
        other = by_identity.get(identity(one))
        if other is None and expires(one):
            continue
        if other is None:
            found.append(f"{kind} {name} does not exist")
            continue
        actual = without_entries_of_other_tools(other)
        asked = _asked(_comparable(one), actual, _applied(other))
        paths = [*changed(one, asked, actual), *added(one, other), *secret_values_changed(one, other)]
        if paths:
            found.append(f"{kind} {name}: {', '.join(paths[:4])}")
    return found


def _comparable(wanted: Object) -> Object:
    """The part of an object that a person changes. A recorded Secret has no values: `secret_values_changed` tells."""
    apart = {"apiVersion", "kind", "metadata", *(("data", "stringData") if wanted["kind"] == "Secret" else ())}
    return {key: value for key, value in wanted.items() if key not in apart}


def _asked(wanted: Any, live: Any, fields: Mapping[str, Any]) -> Any:
    """What is wanted, without the values that leave it to the server: null, and the empty ones that it filled in.

    `fields` are those that Slipway owns: "" or 0 that became a default is its own still, until somebody changes it.
    """
    if isinstance(wanted, Mapping):
        actual = live if isinstance(live, Mapping) else {}
        return {
            key: _asked(value, actual.get(key), fields.get(f"f:{key}", {}))
            for key, value in wanted.items()
            if value is not None and not (_is_blank(value) and f"f:{key}" in fields)
        }
    if isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        return [_asked(one, entry, _of_entry(fields, entry)) for one, entry in zip(wanted, live, strict=True)]
    return wanted


def _is_blank(value: Any) -> bool:
    return value in ("", 0)  # and False


def secret_values_changed(wanted: Object, live: Object) -> Iterator[str]:
    """Whether the values of a Secret from manifests/ are still those that it was released with."""
    released = wanted["metadata"].get("annotations", {}).get(VALUES)
    if released is not None and released != values_fingerprint(live):
        yield "its values were changed"


def changed(whole: Object, wanted: Any, live: Any, keys: Keys = ()) -> Iterator[str]:
    """The paths with another value than the wanted one. What the live object has besides is no difference.

    `wanted` is what the object `whole` has at `keys`.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            yield f"{_path(keys)} was removed"
            return
        for key, value in wanted.items():
            inner = (*keys, str(key))
            if key in live:
                yield from changed(whole, value, live[key], inner)
            elif not _is_empty(value):
                yield f"{_path(inner)} was removed"
    elif isinstance(wanted, list):
        if not isinstance(live, list) or len(wanted) != len(live):
            have = len(live) if isinstance(live, list) else "no"
            yield f"{_path(keys)} has {have} entries instead of {len(wanted)}"
            return
        for index, value in enumerate(wanted):
            yield from changed(whole, value, live[index], (*keys, index))
    elif wanted != live and not (same_quantity(whole, keys, wanted, live) or same_bytes(whole, keys, wanted, live)):
        yield f"{_path(keys)} is {live} instead of {wanted}"


def _path(keys: Keys) -> str:
    """Keys as one reads them: spec.containers[0].image."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def _is_empty(value: Any) -> bool:
    """Whether the API server may omit a value: for most fields "", {}, false and 0 mean the same as no value."""
    return all(_is_empty(inner) for inner in value.values()) if isinstance(value, Mapping) else not value


def added(wanted: Object, live: Object) -> Iterator[str]:
    """The fields that a person's tool owns and that the wanted object does not have."""
    for entry in _managed_fields(live):
        yield from (f"{path} was added by {entry['manager']}" for path in _added_by(entry, wanted))


def taken_over_fields(wanted: Object, live: Object, manager: str) -> list[Object]:
    """The managedFields of `live` in which `manager` owns what a person added, so that its next apply removes that.

    Server-side apply removes only what its own manager applied before: so kubectl moves an object to it as well
    (client-go, util/csaupgrade).
    """
    entries = _managed_fields(live)
    by_person = [one for one in entries if any(_added_by(one, wanted))]
    own = next(one for one in entries if one.get("manager") == manager and one.get("operation") == "Apply")
    fields = own["fieldsV1"]
    for one in by_person:
        fields = _merged(fields, one["fieldsV1"])
    return [{**one, "fieldsV1": fields} if one is own else one for one in entries if one not in by_person]


def without_entries_of_other_tools(live: Object) -> Object:
    """The object without the entries of lists that another tool, neither Slipway nor a person, added to it."""
    entries = [one for one in _managed_fields(live) if not one.get("subresource")]
    own: dict[str, Any] = {}
    for one in (e for e in entries if e.get("manager") == FIELD_MANAGER or PERSON.match(e.get("manager", ""))):
        own = _merged(own, one.get("fieldsV1", {}))
    for one in entries:
        live = _without_entries(live, one.get("fieldsV1", {}), own)
    return live


def _managed_fields(live: Object) -> list[Object]:
    return list(live["metadata"].get("managedFields", []))


def _added_by(entry: Object, wanted: Object) -> Iterator[str]:
    """The paths of an entry of managedFields, if it is a person's, that `wanted` does not have."""
    if PERSON.match(entry.get("manager", "")) and not entry.get("subresource"):
        for part in ("spec", "data"):
            if wanted["kind"] != "Secret" or part in wanted:  # a recorded Secret has no values
                yield from _unwanted(entry.get("fieldsV1", {}).get(f"f:{part}", {}), wanted.get(part, {}), part)


# The keys of a fieldsV1 tree are "f:" and the name of a field, "k:" and the keys of a list's entry as JSON, or ".".


def _applied(live: Object) -> Mapping[str, Any]:
    """The fields that Slipway applied, and that nobody changed since."""
    fields: dict[str, Any] = {}
    for entry in _managed_fields(live):
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply":
            fields = _merged(fields, entry.get("fieldsV1", {}))
    return fields


def _of_entry(fields: Mapping[str, Any], entry: Any) -> Mapping[str, Any]:
    """The part of `fields` that is about an entry of a list, whose keys are in it."""
    parts = (inner for key, inner in fields.items() if key.startswith("k:") and _has_keys(entry, key[2:]))
    return next(parts, {})


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{key: _merged(one.get(key, {}), inner) for key, inner in other.items()}}


def _without_entries(value: Any, fields: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    for key, inner in fields.items():
        kind, _, name = key.partition(":")
        if kind == "f" and isinstance(value, Mapping) and name in value:
            value = {**value, name: _without_entries(value[name], inner, own.get(key, {}))}
        elif kind == "k" and isinstance(value, list) and key not in own:
            value = [entry for entry in value if not _has_keys(entry, name)]
    return value


def _unwanted(fields: Mapping[str, Any], wanted: Any, path: str) -> Iterator[str]:
    for key, inner in fields.items():
        kind, _, name = key.partition(":")
        if key == "." or name in IGNORED_ANNOTATIONS or (key == "f:annotations" and _are_ignored(inner)):
            continue
        if kind == "k":
            part = next((entry for entry in wanted if _has_keys(entry, name)), None)
        else:
            part = wanted.get(name) if isinstance(wanted, Mapping) else None
        field = f"{path}.{name}" if kind == "f" else f"{path}[{name}]"
        if part is None:
            yield field
        elif inner and not isinstance(part, str | int | bool):
            yield from _unwanted(inner, part, field)


def _has_keys(entry: Mapping[str, Any], keys: str) -> bool:
    return all(entry.get(key) == value for key, value in json.loads(keys).items())


def _are_ignored(annotations: Mapping[str, Any]) -> bool:
    names = {key.partition(":")[2] for key in annotations if key != "."}
    return names <= set(IGNORED_ANNOTATIONS)
