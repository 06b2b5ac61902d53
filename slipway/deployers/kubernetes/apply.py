"""The way of a release onto a cluster: asked, applied, waited for, checked, and back again when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from slipway.checks.runner import CheckRunner
from slipway.config.models import Service
from slipway.deployers.deployer import addresses
from slipway.deployers.kubernetes.release_store import Kept, State, only_metadata, surplus
from slipway.engine.reporter import Reporter, uncancellable
from slipway.errors import Cancelled, Problem
from slipway.hosts.host import Host
from slipway.kubernetes import rollout
from slipway.kubernetes.client import MANAGER, Cluster, Conflicts, contested
from slipway.kubernetes.drift import added, foreign, taken_over_fields
from slipway.kubernetes.manifests.labels import MANAGED_BY, NAME, PART_OF
from slipway.kubernetes.objects import Object

SCALER = "HorizontalPodAutoscaler"
TRIES = 5  # of a change to an object that its controller changes too


@dataclass(frozen=True)
class NamespaceScope:
    """A project's place on a cluster, and how its checks are asked there."""

    cluster: Cluster
    project: str
    namespace: str
    host: Host  # runs kubectl
    check_runner: Callable[[Reporter], AbstractContextManager[CheckRunner]]  # asks checks from inside the cluster
    who: str


@dataclass(frozen=True)
class RolloutPlan:
    """A release on its way: its objects, what comes back if it fails, and all releases that are kept."""

    service: Service
    objects: Sequence[Object]
    before: Kept | None
    kept: Sequence[Kept]


def dry_run(cluster: Cluster, objects: Sequence[Object], state: State) -> None:
    """Ask, before anything is changed, whether all of it may be: another's object or field stops here."""
    for one in objects:
        if only_metadata(one):
            continue
        _ours(cluster, one, state)
        try:
            cluster.apply(one, dry=True)
        except Conflicts as conflict:
            _refused(conflict)


def _ours(cluster: Cluster, one: Object, state: State) -> None:
    """Raise Problem if somebody else made an object of that name."""
    kind, meta = one["kind"], one["metadata"]
    name, namespace = meta["name"], meta.get("namespace")
    there = state.find(kind, name) or cluster.get(one["apiVersion"], kind, name, namespace)
    marks = {key: meta["labels"][key] for key in (MANAGED_BY, PART_OF, NAME) if key in meta.get("labels", {})}
    if there and marks.items() - there["metadata"].get("labels", {}).items():
        words = " ".join(f"{key}={value}" for key, value in marks.items())
        label = f"kubectl --namespace {namespace} label --overwrite {kind} {name} {words}"
        hint = f"call it otherwise; or let Slipway have it, and delete it as its own: {label}"
        raise Problem(f"{kind} {name} is there already, and is not this service's", hint=hint)


def _refused(conflict: Conflicts) -> None:
    """Raise Problem if a field of another manager would be taken."""
    others = [one.manager for one in conflict.conflicts if foreign(one)]
    if others:
        hint = f"let {others[0]} have it (take it out of the service file), or make it let go"
        raise Problem(conflict.summary, details=conflict.details, hint=hint) from conflict


def put(cluster: Cluster, objects: Sequence[Object], report: Reporter, gone: Sequence[Object] = ()) -> None:
    """Apply objects; what a person changed with kubectl is taken back, and what is `gone` goes.

    An autoscaler goes first, since it would set the number of copies again.
    """
    scalers = [one for one in gone if one["kind"] == SCALER]
    for one in scalers:
        cluster.delete(one)
    for one in objects:
        if not only_metadata(one):
            _put(cluster, one, report)
    for one in gone:
        if one not in scalers:
            cluster.delete(one)


def _put(cluster: Cluster, one: Object, report: Reporter) -> None:
    try:
        live = cluster.apply(one)
    except Conflicts as conflict:
        _refused(conflict)
        report.note(f"taken back: {conflict.details}".replace("\n", "; "))
        live = cluster.apply(one, force=True)
    if by_hand := list(added(one, live)):
        report.note(f"taken away: {'; '.join(by_hand)}")
        _adopt(cluster, one, live)
        cluster.apply(one, force=True)


def _adopt(cluster: Cluster, one: Object, live: Object) -> None:
    """Make what a person added to an object Slipway's own."""
    kind, name, namespace = one["kind"], one["metadata"]["name"], one["metadata"].get("namespace")
    for attempt in range(TRIES):
        version = live["metadata"]["resourceVersion"]
        own = {"resourceVersion": version, "managedFields": taken_over_fields(one, live, MANAGER)}
        try:
            cluster.patch(one, {"metadata": own})
        except Problem as problem:
            if not contested(problem) or attempt == TRIES - 1:
                raise
            live = cluster.get(one["apiVersion"], kind, name, namespace) or live
        else:
            return


def roll_out_and_verify(where: NamespaceScope, way: RolloutPlan, report: Reporter) -> Mapping[str, bool]:
    """Roll out and check; what served before comes back if that fails."""
    before = way.before.objects if way.before else ()
    scalers = [one for one in surplus(before, way.objects, ()) if one["kind"] == SCALER]
    try:
        put(where.cluster, way.objects, report, scalers)
        rollout.wait(place(where, way.service.name), report)
        checks = verdict(where, way.service, report)
    except Cancelled:
        if way.before:
            back(where, way, way.before, uncancellable(report))
            report.note(f"release {way.before.release.number} is put back")
        raise
    except Problem as problem:
        hint = restore(where, way, report)
        raise Problem(problem.summary, details=problem.details, hint=f"{problem.hint}\n{hint}".strip()) from problem
    return checks


def verdict(where: NamespaceScope, service: Service, report: Reporter) -> Mapping[str, bool]:
    """Ask the live service's checks; their results. Raises Problem with the evidence of those that fail."""
    if not service.checks:
        return {}
    with where.check_runner(report) as checks:
        urls = addresses(service, lambda name: _address(where, name))
        found = checks.run(service.checks, urls, report)
    if not found.ok:
        failed = ", ".join(check for check, ok in found.record.items() if not ok)
        seen = rollout.evidence(rollout.look(place(where, service.name), whole=True))
        raise Problem(f"{service.name}: live checks failed: {failed}", details=f"{found.text}\n{seen}")
    return found.record


def _address(where: NamespaceScope, service: str) -> str:
    """Where pods of the namespace reach a service."""
    found = where.cluster.get("v1", "Service", service, where.namespace)
    if found is None:
        hint = f"./invoke deploy --service {service}"
        raise Problem(f"namespace {where.namespace} has no Service {service}", hint=hint)
    return f"http://{service}.{where.namespace}.svc:{found['spec']['ports'][0]['port']}"


def back(where: NamespaceScope, way: RolloutPlan, before: Kept, report: Reporter) -> None:
    """Put the earlier release in the place of one that failed; what only that one had goes."""
    put(where.cluster, before.objects, report, surplus(way.objects, before.objects, way.kept))


def restore(where: NamespaceScope, way: RolloutPlan, report: Reporter) -> str:
    """Put the earlier release back and run its checks; what serves now, as advice."""
    voice, name, before = uncancellable(report), way.service.name, way.before
    if before is None:
        try:
            for one in surplus(way.objects, (), ()):
                where.cluster.delete(one)
        except Problem as problem:
            return f"{name} does not serve; its failed first release could not be removed: {problem.summary}"
        report.note("the failed first release was removed")
        return f"{name} does not serve; the failed first release was removed"
    number = before.release.number
    try:
        back(where, way, before, voice)
    except Problem as problem:
        again = f"./invoke rollback --service {name} --to {number} tries again"
        return f"release {number} could not be put back: {problem.summary}; {again}"
    try:
        rollout.wait(place(where, name), voice)
        verdict(where, before.release.settings, voice)
    except Problem as problem:
        return f"release {number} was put back, and could not be proven: {problem.summary}"
    report.note(f"release {number} serves again")
    return f"release {number} of {name} serves again and passed its checks"


def place(where: NamespaceScope, service: str) -> rollout.Place:
    """Where a service's rollout is looked at."""
    return rollout.Place(where.cluster, where.project, where.namespace, service)
