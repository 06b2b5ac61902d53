"""Kinds that a service brings itself: its CustomResourceDefinitions, waited for, and kept while others use them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slipway.engine.reporter import Reporter
from slipway.errors import ApiRefused, Problem
from slipway.kubernetes.client import Client
from slipway.kubernetes.manifests.labels import NAMESPACE, labels
from slipway.kubernetes.objects import Object
from slipway.kubernetes.scopes import cluster_scoped, defines, is_definition

ESTABLISHED = 60  # seconds for the API server to serve a new kind
POLL = 0.5


def placed(cluster: Client, objects: Iterable[Object], namespace: str) -> list[Object]:
    """A service's objects; those of a kind that belongs to no namespace are in none, and say whose they are.

    Whether a custom kind does is what its definition says, or the cluster.
    """
    everything = list(objects)
    found: list[Object] = []
    for one in everything:
        meta = one["metadata"]
        if meta.get("namespace") and _at_cluster_scope(cluster, one, everything):
            meta = {key: value for key, value in meta.items() if key != "namespace"}
            meta["labels"] = {**meta.get("labels", {}), NAMESPACE: namespace}
        found.append({**one, "metadata": meta})
    return found


def _at_cluster_scope(cluster: Client, one: Object, objects: Sequence[Object]) -> bool:
    if definition := defined_by(one, objects):
        return bool(definition["spec"].get("scope") == "Cluster")
    return cluster.namespaced(one) is False


def defined_by(one: Object, objects: Iterable[Object]) -> Object | None:
    """The CustomResourceDefinition among `objects` of an object's kind."""
    return next((other for other in objects if is_definition(other) and defines(other, one)), None)


def applied_first(one: Object) -> bool:
    """Whether others of a service's objects need it: a kind's definition, a namespace."""
    return is_definition(one) or (cluster_scoped(one) and one["kind"] == "Namespace")


def wait_until_established(cluster: Client, definition: Object, report: Reporter) -> None:
    """Wait until the API server serves a definition's kind. Raises Problem with its conditions where it does not."""
    name, spec, conditions = definition["metadata"]["name"], definition["spec"], ""
    version = next((one["name"] for one in spec.get("versions", []) if one.get("served")), "")
    waited = 0.0
    while waited < ESTABLISHED:
        live = cluster.get(definition["apiVersion"], definition["kind"], name) or {}
        found = live.get("status", {}).get("conditions", [])
        states = {one["type"]: one["status"] for one in found}
        if states.get("Established") == "True" and cluster.has_kind(
            f"{spec['group']}/{version}", spec["names"]["kind"]
        ):
            return
        conditions = "; ".join(f"{one['type']} {one['status']}: {one.get('message', '')}" for one in found)
        if states.get("NamesAccepted") == "False":
            break
        report.cancel.wait(POLL)
        report.cancel.check()
        waited += POLL
    hint = f"kubectl describe customresourcedefinition {name}"
    raise Problem(f"the cluster does not serve CustomResourceDefinition {name}", details=conditions, hint=hint)


def used_by_others(cluster: Client, project: str, namespace: str, definition: Object) -> str:
    """The objects of a definition's kind that are not this environment's, in words; "" where there are none.

    Where nobody may list them, that is said: then they may exist.
    """
    spec = definition.get("spec", {})
    versions = [one["name"] for one in spec.get("versions", []) if one.get("served")]
    kind = spec.get("names", {}).get("kind", "")
    if not versions or not cluster.has_kind(f"{spec['group']}/{versions[0]}", kind):
        return ""
    try:
        found = cluster.list(f"{spec['group']}/{versions[0]}", kind, None)
    except ApiRefused as refused:
        return f"whether others use it can't be read ({refused.details})"
    others = [one["metadata"] for one in found if not _is_of(one, project, namespace)]
    names = [f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"] for meta in others]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"others have objects of it: {', '.join(names[:3])}{more}" if names else ""


def _is_of(one: Object, project: str, namespace: str) -> bool:
    marks = one["metadata"].get("labels", {})
    return labels(project).items() <= marks.items() and namespace in {
        one["metadata"].get("namespace"),
        marks.get(NAMESPACE),
    }
