"""What somebody changed by hand: pure comparison of the objects that are wanted with those that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.config.quantity import parse_quantity
from slipway.kubernetes.client import MANAGER, Conflict
from slipway.kubernetes.manifests.labels import VALUES, values_fingerprint
from slipway.kubernetes.objects import Object

IGNORED = ("kubectl.kubernetes.io/restartedAt", "kubectl.kubernetes.io/last-applied-configuration")
HANDS = re.compile(r"kubectl(-|$)|Mozilla|node-fetch")  # field managers that are a person
AUTOSCALER = Conflict("kube-controller-manager", "spec.replicas")  # the cluster's own: it goes with `autoscale`


def foreign(conflict: Conflict) -> bool:
    """Whether a field belongs to another tool; what a person or an autoscaler set is Slipway's to take back."""
    return not (conflict.manager == MANAGER or HANDS.match(conflict.manager) or conflict == AUTOSCALER)


def differences(wanted: Sequence[Object], live: Sequence[Object]) -> list[str]:
    """Why what is there is not what is wanted, one line per object."""
    there = {(one["kind"], one["metadata"]["name"]): one for one in live}
    found = []
    for one in wanted:
        kind, name = one["kind"], one["metadata"]["name"]
        other = there.get((kind, name))
        if other is None:
            found.append(f"{kind} {name} is not there")
            continue
        paths = [*changed(compared(one), spared(other)), *added(one, other), *secret_values_changed(one, other)]
        if paths:
            found.append(f"{kind} {name}: {', '.join(paths[:4])}")
    return found


def compared(one: Object) -> Object:
    """The part of an object that a hand can change: neither its labels' owner nor what a server adds."""
    spared = {"apiVersion", "kind", "metadata", *(("data", "stringData") if one["kind"] == "Secret" else ())}
    return {k: v for k, v in one.items() if k not in spared}


def secret_values_changed(wanted: Object, live: Object) -> Iterator[str]:
    """Whether the values of a service's own Secret are others than it was released with."""
    marked = wanted["metadata"].get("annotations", {}).get(VALUES)
    if marked is not None and marked != values_fingerprint(live):
        yield "its values were changed"


def changed(wanted: Any, live: Any, place: str = "") -> Iterator[str]:
    """The places whose value is not the wanted one; what only the server or somebody else added is no difference."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            yield f"{place} was removed"
            return
        for key, value in wanted.items():
            inner = f"{place}.{key}" if place else str(key)
            if key in live:
                yield from changed(value, live[key], inner)
            elif not absent(value):
                yield f"{inner} was removed"
    elif isinstance(wanted, list):
        if not isinstance(live, list) or len(wanted) != len(live):
            yield f"{place} has {len(live) if isinstance(live, list) else 'no'} entries instead of {len(wanted)}"
            return
        for index, value in enumerate(wanted):
            yield from changed(value, live[index], f"{place}[{index}]")
    elif not same(wanted, live):
        yield f"{place} is {live} instead of {wanted}"


def absent(value: Any) -> bool:
    """Whether the API server may leave a value out: an empty one, false and 0 are what most fields have without it."""
    return all(absent(inner) for inner in value.values()) if isinstance(value, Mapping) else not value


def same(wanted: Any, live: Any) -> bool:
    """Whether two values are one: quantities may be written in several ways."""
    if wanted == live:
        return True
    if not (isinstance(wanted, str | int | float) and isinstance(live, str | int | float)):
        return False
    return (one := parse_quantity(str(wanted))) is not None and one == parse_quantity(str(live))


def added(wanted: Object, live: Object) -> Iterator[str]:
    """The fields of a spec that a person's tool owns and that the wanted object does not name."""
    for entry in managed(live):
        yield from (f"{place} was added by {entry['manager']}" for place in _unwanted(entry, wanted))


def _unwanted(entry: Object, wanted: Object) -> Iterator[str]:
    if HANDS.match(entry.get("manager", "")) and not entry.get("subresource"):
        for part in ("spec", "data"):
            if wanted["kind"] != "Secret" or part in wanted:  # a release keeps no values: see `secret_values_changed`
                yield from owned(entry.get("fieldsV1", {}).get(f"f:{part}", {}), wanted.get(part, {}), part)


def managed(live: Object) -> list[Object]:
    """Who owns which fields of an object, as the API server keeps it."""
    return list(live["metadata"].get("managedFields", []))


def taken_over_fields(wanted: Object, live: Object, manager: str) -> list[Object]:
    """The managedFields of `live` in which what a person added is `manager`'s, whose next apply takes it away.

    Server-side apply removes only what its own manager applied before: so kubectl moves an object to it as well
    (client-go, util/csaupgrade).
    """
    entries = managed(live)
    theirs = [one for one in entries if any(_unwanted(one, wanted))]
    mine = next(one for one in entries if one.get("manager") == manager and one.get("operation") == "Apply")
    fields = mine["fieldsV1"]
    for one in theirs:
        fields = _joined(fields, one["fieldsV1"])
    return [{**one, "fieldsV1": fields} if one is mine else one for one in entries if one not in theirs]


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{key: _joined(one.get(key, {}), inner) for key, inner in other.items()}}


def spared(live: Object) -> Object:
    """The object without the entries of lists that another manager, neither Slipway nor a person, added to it."""
    entries = [one for one in managed(live) if not one.get("subresource")]
    mine: dict[str, Any] = {}
    for one in (e for e in entries if e.get("manager") == MANAGER or HANDS.match(e.get("manager", ""))):
        mine = _joined(mine, one.get("fieldsV1", {}))
    for one in entries:
        live = _without(live, one.get("fieldsV1", {}), mine)
    return live


def _without(value: Any, fields: Mapping[str, Any], mine: Mapping[str, Any]) -> Any:
    for key, inner in fields.items():
        kind, _, name = key.partition(":")
        if kind == "f" and isinstance(value, Mapping) and name in value:
            value = {**value, name: _without(value[name], inner, mine.get(key, {}))}
        elif kind == "k" and isinstance(value, list) and key not in mine:
            value = [o for o in value if not all(o.get(k) == v for k, v in _pairs(name))]
    return value


def owned(fields: Mapping[str, Any], wanted: Any, place: str) -> Iterator[str]:
    """The places of a fieldsV1 tree that are not in `wanted`."""
    for key, inner in fields.items():
        if key == ".":
            continue
        kind, _, name = key.partition(":")
        if name in IGNORED or (kind == "f" and name == "annotations" and set(_leaves(inner)) <= set(IGNORED)):
            continue
        if kind == "k":
            part = next((o for o in wanted if all(o.get(k) == v for k, v in _pairs(name))), None)
        else:
            part = wanted.get(name) if isinstance(wanted, Mapping) else None
        where = f"{place}.{name}" if kind == "f" else f"{place}[{name}]"
        if part is None:
            yield where
        elif inner and not isinstance(part, str | int | bool):
            yield from owned(inner, part, where)


def _pairs(text: str) -> list[tuple[str, Any]]:
    import json

    return list(json.loads(text).items())


def _leaves(fields: Mapping[str, Any]) -> Iterator[str]:
    for key in fields:
        if key != ".":
            yield key.partition(":")[2]
