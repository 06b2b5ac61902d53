"""Objects applied to a cluster as `slipway`: never over another tool's, and always over what a person changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from slipway.deployers.kubernetes.definitions import (
    applied_first,
    defined_by,
    used_by_others,
    wait_until_established,
)
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.release_store import State, only_metadata
from slipway.engine.reporter import Reporter
from slipway.errors import ApiRefused, ApplyConflict, Problem
from slipway.kubernetes.client import Client
from slipway.kubernetes.drift import added, of_another_tool, taken_over_fields
from slipway.kubernetes.jobs import must_be_created_again
from slipway.kubernetes.manifests.labels import FIELD_MANAGER, MANAGED_BY, NAME, NAMESPACE, PART_OF
from slipway.kubernetes.objects import Object
from slipway.kubernetes.scopes import is_definition

AUTOSCALER = "HorizontalPodAutoscaler"
OWNER = (MANAGED_BY, PART_OF, NAME, NAMESPACE)  # the labels that tell whose an object is
DELETION = 120.0  # seconds for the pods of a Job to end
ATTEMPTS = 5  # to change an object that its controller changes too


def dry_run(cluster: Client, objects: Sequence[Object], state: State, report: Reporter) -> None:
    """Raise Problem, before anything is changed, if an object or a field of it belongs to somebody else.

    An admission webhook that can't take part in a dry run says so: then that object is applied without one.
    """
    without: dict[str, list[str]] = {}
    for one in objects:
        if only_metadata(one) or _needs_another(cluster, one, objects):
            continue
        _check_ownership(cluster, one, state)
        try:
            cluster.apply(one, dry_run=True)
        except ApplyConflict as conflict:
            _check_conflicts(conflict)
        except ApiRefused as refused:
            if _no_dry_run(refused):
                without.setdefault(refused.details, []).append(f"{one['kind']} {one['metadata']['name']}")
            elif not must_be_created_again(one, refused):
                raise
    for reason, names in without.items():
        report.note(f"applied without a dry run: {', '.join(names)}: {reason}")


def _no_dry_run(refused: ApiRefused) -> bool:
    """Whether an admission webhook has side effects (k8s.io/apiserver, webhook/errors, NewDryRunUnsupportedErr)."""
    return refused.status == HTTPStatus.BAD_REQUEST and "does not support dry run" in refused.details


def _needs_another(cluster: Client, one: Object, objects: Sequence[Object]) -> bool:
    """Whether nothing can be asked about an object yet: its kind or namespace is among those that are still to come."""
    if defined_by(one, objects):
        return not cluster.has_kind(one["apiVersion"], one["kind"])
    home = one["metadata"].get("namespace")
    coming = (other for other in objects if applied_first(other) and other["metadata"]["name"] == home)
    return any(cluster.get(other["apiVersion"], other["kind"], home) is None for other in coming)


def apply_objects(scope: NamespaceScope, objects: Sequence[Object], report: Reporter) -> None:
    """Apply objects, what others of them need first. What a person changed with kubectl is reverted."""
    first = [one for one in objects if applied_first(one)]
    for one in first:
        _apply(scope.cluster, one, report)
    for one in filter(is_definition, first):
        wait_until_established(scope.cluster, one, report)
    for one in objects:
        if one not in first and not only_metadata(one):
            _apply(scope.cluster, one, report)


def delete_objects(scope: NamespaceScope, objects: Sequence[Object], report: Reporter) -> list[Object]:
    """Delete objects and return them. A definition goes last, and stays while others have objects of its kind."""
    deleted = []
    for one in sorted(objects, key=is_definition):
        if is_definition(one) and (use := used_by_others(scope.cluster, scope.project, scope.namespace, one)):
            report.note(f"{one['kind']} {one['metadata']['name']} stays: {use}")
            continue
        scope.cluster.delete(one)
        deleted.append(one)
    return deleted


def _apply(cluster: Client, one: Object, report: Reporter) -> None:
    try:
        live = cluster.apply(one)
    except ApplyConflict as conflict:
        _check_conflicts(conflict)
        report.note(f"changed by hand, reverted: {conflict.details}".replace("\n", "; "))
        live = cluster.apply(one, force=True)
    except ApiRefused as refused:
        if not must_be_created_again(one, refused):
            raise
        live = _create_again(cluster, one, report)
    if by_hand := list(added(one, live)):
        report.note(f"added by hand, removed: {'; '.join(by_hand)}")
        _take_over(cluster, one, live)
        cluster.apply(one, force=True)


def _create_again(cluster: Client, one: Object, report: Reporter) -> Object:
    """Delete a Job with its pods, so that two never run, and apply it anew."""
    name, namespace = one["metadata"]["name"], one["metadata"].get("namespace")
    report.note(f"Job {name} can't be changed: it is deleted, and created again")
    cluster.delete_with_dependents(one)
    waited = 0.0
    while cluster.get(one["apiVersion"], one["kind"], name, namespace):
        if waited > DELETION:
            summary = f"Job {name} was deleted to be created again, but did not end within {DELETION:.0f} s"
            raise Problem(summary, hint=f"kubectl --namespace {namespace} describe job {name}")
        report.cancel.wait(0.5)
        report.cancel.check()
        waited += 0.5
    return cluster.apply(one)


def _check_ownership(cluster: Client, one: Object, state: State) -> None:
    """Raise Problem if an object of that name exists without our labels."""
    kind, meta = one["kind"], one["metadata"]
    name, namespace = meta["name"], meta.get("namespace")
    live = state.same(one) or cluster.get(one["apiVersion"], kind, name, namespace)
    owner = {key: meta["labels"][key] for key in OWNER if key in meta.get("labels", {})}
    marks = live["metadata"].get("labels", {}) if live else owner
    if NAMESPACE not in marks and marks.get(MANAGED_BY) == owner.get(MANAGED_BY):  # an earlier version's
        marks = {**marks, NAMESPACE: owner.get(NAMESPACE)}
    if owner.items() - marks.items():
        raise _not_ours(one, marks, owner)


def _not_ours(one: Object, marks: Mapping[str, Any], owner: Mapping[str, str]) -> Problem:
    """The problem of an object with the labels `marks`, where those of `owner` are wanted."""
    kind, name, namespace = one["kind"], one["metadata"]["name"], one["metadata"].get("namespace")
    if marks.get(NAMESPACE) and marks.get(PART_OF) == owner.get(PART_OF):
        summary = f"{kind} {name} belongs to the environment in namespace {marks[NAMESPACE]}, not to this one"
        return Problem(summary, hint="apply it once by hand, and remove it from manifests/")
    pairs = " ".join(f"{key}={value}" for key, value in owner.items())
    where = f"--namespace {namespace} " if namespace else ""
    label = f"kubectl {where}label --overwrite {kind} {name} {pairs}"
    hint = f"choose another name; or hand it over to Slipway, which then changes and deletes it as its own: {label}"
    return Problem(f"{kind} {name} already exists and does not belong to this service", hint=hint)


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
