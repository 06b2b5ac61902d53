"""Objects applied to a cluster as `slipway`: never over another tool's, and always over what a person changed."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from slipway.deployers.kubernetes.release_store import State, only_metadata
from slipway.engine.reporter import Reporter
from slipway.errors import ApiRefused, ApplyConflict, Problem
from slipway.kubernetes.client import Client
from slipway.kubernetes.drift import added, of_another_tool, taken_over_fields
from slipway.kubernetes.manifests.labels import FIELD_MANAGER, MANAGED_BY, NAME, PART_OF
from slipway.kubernetes.objects import Object

AUTOSCALER = "HorizontalPodAutoscaler"
ATTEMPTS = 5  # to change an object that its controller changes too


def dry_run(cluster: Client, objects: Sequence[Object], state: State) -> None:
    """Raise Problem, before anything is changed, if an object or a field of it belongs to somebody else."""
    for one in objects:
        if only_metadata(one):
            continue
        _check_ownership(cluster, one, state)
        try:
            cluster.apply(one, dry_run=True)
        except ApplyConflict as conflict:
            _check_conflicts(conflict)


def apply_objects(cluster: Client, objects: Sequence[Object], report: Reporter, surplus: Sequence[Object] = ()) -> None:
    """Apply objects and delete the surplus ones. What a person changed with kubectl is reverted.

    An autoscaler is deleted first, since it would set the number of replicas again.
    """
    autoscalers = [one for one in surplus if one["kind"] == AUTOSCALER]
    for one in autoscalers:
        cluster.delete(one)
    for one in objects:
        if not only_metadata(one):
            _apply(cluster, one, report)
    for one in surplus:
        if one not in autoscalers:
            cluster.delete(one)


def _apply(cluster: Client, one: Object, report: Reporter) -> None:
    try:
        live = cluster.apply(one)
    except ApplyConflict as conflict:
        _check_conflicts(conflict)
        report.note(f"changed by hand, reverted: {conflict.details}".replace("\n", "; "))
        live = cluster.apply(one, force=True)
    if by_hand := list(added(one, live)):
        report.note(f"added by hand, removed: {'; '.join(by_hand)}")
        _take_over(cluster, one, live)
        cluster.apply(one, force=True)


def _check_ownership(cluster: Client, one: Object, state: State) -> None:
    """Raise Problem if an object of that name exists without our labels."""
    kind, meta = one["kind"], one["metadata"]
    name, namespace = meta["name"], meta.get("namespace")
    live = state.find(kind, name) or cluster.get(one["apiVersion"], kind, name, namespace)
    owner = {key: meta["labels"][key] for key in (MANAGED_BY, PART_OF, NAME) if key in meta.get("labels", {})}
    if live and owner.items() - live["metadata"].get("labels", {}).items():
        pairs = " ".join(f"{key}={value}" for key, value in owner.items())
        label = f"kubectl --namespace {namespace} label --overwrite {kind} {name} {pairs}"
        hint = f"choose another name; or hand it over to Slipway, which then changes and deletes it as its own: {label}"
        raise Problem(f"{kind} {name} already exists and does not belong to this service", hint=hint)


def _check_conflicts(conflict: ApplyConflict) -> None:
    """Raise Problem if a field belongs to another tool."""
    others = [one.manager for one in conflict.conflicts if of_another_tool(one)]
    if others:
        hint = f"leave the field to {others[0]} (remove it from the service file), or make {others[0]} give it up"
        raise Problem(conflict.summary, details=conflict.details, hint=hint) from conflict


def _take_over(cluster: Client, one: Object, live: Object) -> None:
    """Make Slipway the manager of the fields that a person added to an object."""
    kind, name, namespace = one["kind"], one["metadata"]["name"], one["metadata"].get("namespace")
    for attempt in range(ATTEMPTS):
        version = live["metadata"]["resourceVersion"]
        fields = taken_over_fields(one, live, FIELD_MANAGER)
        try:
            cluster.patch(one, {"metadata": {"resourceVersion": version, "managedFields": fields}})
        except ApiRefused as refused:
            if refused.status != HTTPStatus.CONFLICT or attempt == ATTEMPTS - 1:
                raise
            live = cluster.get(one["apiVersion"], kind, name, namespace) or live
        else:
            return
