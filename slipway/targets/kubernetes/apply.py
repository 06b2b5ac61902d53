"""The way of a release onto a cluster: asked, applied, waited for, checked, and back again when it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slipway.config.models import Service
from slipway.errors import Cancelled, Problem
from slipway.hosts.host import Host
from slipway.steps import Say
from slipway.targets.kubernetes import rollout
from slipway.targets.kubernetes.asker import asker, calm, resolved
from slipway.targets.kubernetes.client import Cluster, Conflicts
from slipway.targets.kubernetes.drift import HANDS, differences
from slipway.targets.kubernetes.manifests import Object
from slipway.targets.kubernetes.release import Kept
from slipway.targets.target import Verify, addresses


@dataclass(frozen=True)
class Where:
    """A project's place on a cluster, and how its checks are asked there."""

    cluster: Cluster
    project: str
    namespace: str
    host: Host  # runs kubectl
    probe_image: Callable[[Say], str]  # the reference of the image that asks
    who: str


def permitted(cluster: Cluster, objects: Sequence[Object]) -> None:
    """Ask, before anything is changed, whether all of it may be: a field of another manager stops here."""
    for one in objects:
        if one["kind"] == "Secret" and "stringData" not in one:
            continue
        try:
            cluster.apply(one, dry=True)
        except Conflicts as conflict:
            others = [c for c in conflict.conflicts if not HANDS.match(c.manager) and c.manager != "slipway"]
            if others:
                fix = f"let {others[0].manager} have it (take it out of the service file), or make it let go"
                raise Problem(conflict.what, why=conflict.why, fix=fix) from conflict


def put(cluster: Cluster, objects: Sequence[Object], say: Say) -> None:
    """Apply objects; what a person changed with kubectl is taken back."""
    for one in objects:
        if one["kind"] == "Secret" and "stringData" not in one:
            continue  # of an earlier release: it is there, whole and immutable
        try:
            live = cluster.apply(one)
        except Conflicts as conflict:
            say.note(f"taken back: {conflict.why}".replace("\n", "; "))
            live = cluster.apply(one, force=True)
        if one["kind"] == "Deployment" and differences([one], [live]):
            version = {"resourceVersion": live["metadata"]["resourceVersion"]}
            cluster.replace({**one, "metadata": {**one["metadata"], **version}})


def proven(
    where: Where, objects: Sequence[Object], before: Kept | None, service: Service, verify: Verify, say: Say
) -> Mapping[str, bool]:
    """Roll out and check; what served before comes back if that fails."""
    try:
        put(where.cluster, objects, say)
        rollout.wait(place(where, service.name), say)
        checks = verdict(where, service, verify, say)
    except Cancelled:
        if before:
            put(where.cluster, before.objects, calm(say))
            say.note(f"release {before.release.number} is put back")
        raise
    except Problem as problem:
        fix = restore(where, before, service, verify, objects, say)
        raise Problem(problem.what, why=problem.why, fix=f"{problem.fix}\n{fix}".strip()) from problem
    return checks


def verdict(where: Where, service: Service, verify: Verify, say: Say) -> Mapping[str, bool]:
    """Ask the live service's checks; their results. Raises Problem with the evidence of those that fail."""
    if not service.checks:
        return {}
    image = where.probe_image(say)
    with asker(where.cluster, where.project, where.namespace, image, where.host.run, say) as ask:
        urls = addresses(service, lambda name: _address(where, name))
        resolved(ask, urls["BASE"], say)
        found = verify(service, urls, ask, say)
    if not found.ok:
        failed = ", ".join(check for check, ok in found.checks.items() if not ok)
        seen = rollout.evidence(rollout.look(place(where, service.name), whole=True))
        raise Problem(f"{service.name}: live checks failed: {failed}", why=f"{found.evidence}\n{seen}")
    return found.checks


def _address(where: Where, service: str) -> str:
    """Where pods of the namespace reach a service."""
    found = where.cluster.get("v1", "Service", service, where.namespace)
    if found is None:
        fix = f"./invoke deploy --service {service}"
        raise Problem(f"namespace {where.namespace} has no Service {service}", fix=fix)
    return f"http://{service}.{where.namespace}.svc:{found['spec']['ports'][0]['port']}"


def restore(
    where: Where, before: Kept | None, service: Service, verify: Verify, failed: Sequence[Object], say: Say
) -> str:
    """Put the earlier release back and run its checks; what serves now, as advice."""
    voice = calm(say)
    if before is None:
        for one in failed:
            if one["kind"] != "PersistentVolumeClaim":
                where.cluster.delete(one)
        say.note("the failed first release was removed")
        return f"{service.name} does not serve; the failed first release was removed"
    number = before.release.number
    try:
        put(where.cluster, before.objects, voice)
        rollout.wait(place(where, service.name), voice)
        verdict(where, before.release.settings, verify, voice)
    except Problem as problem:
        return f"release {number} was put back, and could not be proven: {problem.what}"
    say.note(f"release {number} serves again")
    return f"release {number} of {service.name} serves again and passed its checks"


def place(where: Where, service: str) -> rollout.Place:
    """Where a service's rollout is looked at."""
    return rollout.Place(where.cluster, where.project, where.namespace, service)
