"""Deploys to a namespace: releases applied as `slipway`, checked, and rolled back when their checks fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from slipway.config.models import Service
from slipway.deployers.deployer import DesiredRelease, SecretLookup, settings_diff
from slipway.deployers.deployments import Deployments
from slipway.deployers.kubernetes import dev_pods
from slipway.deployers.kubernetes.apply import delete_objects, dry_run
from slipway.deployers.kubernetes.definitions import placed
from slipway.deployers.kubernetes.live_checks import verify
from slipway.deployers.kubernetes.manifest import Manifest
from slipway.deployers.kubernetes.project_namespace import ProjectNamespace, running
from slipway.deployers.kubernetes.release_store import State, pack, pruned, with_current_secret_values
from slipway.deployers.kubernetes.releases import KubernetesReleases
from slipway.deployers.kubernetes.secret_store import KubernetesSecretStore
from slipway.deployers.kubernetes.verified_rollout import RolloutPlan, roll_out_and_verify
from slipway.deployers.release import Release
from slipway.deployers.releases import KEPT, UNRECORDED
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, behind_a_change, deploy_command
from slipway.kubernetes import rollout
from slipway.kubernetes.drift import differences
from slipway.kubernetes.endpoints import wait_until_routed
from slipway.kubernetes.jobs import run_again
from slipway.kubernetes.manifests.labels import MANIFEST, RELEASE, SOURCE
from slipway.kubernetes.manifests.render import IMAGE, digest, for_release, render
from slipway.kubernetes.objects import Object
from slipway.kubernetes.replicas import scaled_to, with_replicas

if TYPE_CHECKING:
    from slipway.deployers.kubernetes.operations import KubernetesOperations
    from slipway.deployers.kubernetes.status import KubernetesStatus

UNREADY = "none of its copies is ready"


def deployments(namespace: ProjectNamespace) -> Deployments[State, Manifest]:
    """All that is done to a project's services in one namespace, and known of them."""
    return Deployments(
        state=namespace.state,
        deployer=KubernetesDeployer(namespace),
        releases=KubernetesReleases(namespace),
        secret_store=KubernetesSecretStore(namespace),
        make_operations=partial(_operations, namespace),
        make_status=partial(_status, namespace),
    )


def _operations(namespace: ProjectNamespace) -> KubernetesOperations:
    from slipway.deployers.kubernetes.operations import KubernetesOperations

    return KubernetesOperations(namespace)


def _status(namespace: ProjectNamespace) -> KubernetesStatus:
    from slipway.deployers.kubernetes.status import KubernetesStatus

    return KubernetesStatus(namespace)


class KubernetesDeployer:
    """A `Deployer` whose manifest is the objects of a service: what is there is compared with them, field by field."""

    def __init__(self, namespace: ProjectNamespace) -> None:
        self._namespace, self._scope = namespace, namespace.scope

    def render(self, service: Service, secrets: Mapping[str, str]) -> Manifest:
        """The objects of a service, and their digest."""
        objects = render(self._scope.project, self._scope.namespace, service, IMAGE, secrets)
        checks = service.model_dump(mode="json", include={"checks"})["checks"]
        return Manifest(tuple(objects), digest(objects, checks))

    def differs(self, state: State, desired: DesiredRelease[Manifest]) -> str | None:
        """Why the Deployment or one of its objects is not the desired one, or has no record, or no ready copy."""
        reason, kept = self._reason(state, desired), running(state, desired.service.name)
        if reason is None or kept is None:
            return reason
        image = kept.release.image if kept.release.source == desired.source else IMAGE
        jobs = run_again(kept.objects, for_release(desired.manifest.objects, image, {}))
        return f"{reason}; created and run again: {', '.join(jobs)}" if jobs else reason

    def _reason(self, state: State, desired: DesiredRelease[Manifest]) -> str | None:
        name = desired.service.name
        deployment = state.find("Deployment", name)
        if deployment is None:
            return f"Deployment {name} does not exist"
        marks = deployment["metadata"].get("annotations", {})
        if marks.get(SOURCE) != desired.source:
            return "its sources differ from the running release"
        kept = running(state, name)
        if marks.get(MANIFEST) != desired.manifest.digest:
            return settings_diff(kept.release.settings if kept else desired.service, desired.service)
        if kept is None:
            return UNRECORDED
        if drift := dev_pods.drift(state, name):
            return drift
        live = (*state.objects, *state.elsewhere)
        if found := differences(with_replicas(list(kept.objects), deployment, desired.service), live):
            return f"changed by hand: {'; '.join(found)}"
        copies = deployment["spec"].get("replicas", 1)
        return UNREADY if copies and not deployment.get("status", {}).get("readyReplicas") else None

    def apply(self, desired: DesiredRelease[Manifest], report: Reporter) -> None:
        """Roll it out. Old pods serve until new ones are ready; a release that fails its checks is rolled back."""
        scope, service = self._scope, desired.service
        with self._namespace.lease.held(report) as report:
            state = self._namespace.read()
            if taken_back := dev_pods.take_back(scope, state, service.name, report):
                state = self._namespace.read()
            reason = self.differs(state, desired)
            if reason is None and taken_back:
                wait_until_routed(scope.workload(service.name), report)
                verify(scope, service, report)
                return
            if reason is None:
                report.note("another deploy has just released it")
                return
            if reason == UNREADY:  # as after a start of the cluster: the release is what it should be
                rollout.wait(scope.workload(service.name), report)
                verify(scope, service, report)
                return
            number = state.last(service.name) + 1
            marks = {RELEASE: str(number), SOURCE: desired.source, MANIFEST: desired.manifest.digest}
            objects = for_release(desired.manifest.objects, desired.image, marks)
            objects = placed(scope.cluster, objects, scope.namespace)
            plan = self._plan(state, service, objects, report)
            dry_run(scope.cluster, plan.objects, state, report)
            checks = roll_out_and_verify(scope, plan, report)
            release = Release(
                service=service.name,
                number=number,
                image=desired.image,
                source=desired.source,
                manifest=desired.manifest.digest,
                time=datetime.now(UTC).isoformat(timespec="seconds"),
                who=desired.who,
                commit=desired.commit,
                checks=checks,
                settings=service,
            )
            with behind_a_change():
                scope.cluster.apply(pack(scope.project, scope.namespace, release, objects))
                self._prune(service.name, plan.objects, report)

    def rollback(self, release: Release, secrets: SecretLookup, report: Reporter) -> None:  # noqa: ARG002  it has its own
        """Apply the objects that the release had, under its own number."""
        scope = self._scope
        with self._namespace.lease.held(report) as report:
            state = self._namespace.read()
            if dev_pods.take_back(scope, state, release.service, report):
                state = self._namespace.read()
            kept = next(k for k in state.releases(release.service) if k.release.number == release.number)
            missing = [n for n in sorted(kept.names("Secret")) if state.find("Secret", n) is None]
            if missing:
                raise Problem(
                    f"secrets of release {release.number} are gone: {', '.join(missing)}",
                    commands=[deploy_command(release.service)],
                )
            plan = self._plan(state, release.settings, kept.objects, report)
            dry_run(scope.cluster, plan.objects, state, report)
            roll_out_and_verify(scope, plan, report)
            with behind_a_change():
                self._prune(release.service, plan.objects, report)

    def _plan(self, state: State, service: Service, objects: Sequence[Object], report: Reporter) -> RolloutPlan:
        """A release's objects and those that are restored if it fails, each with as many copies as run now."""
        live, known = state.find("Deployment", service.name), state.releases(service.name)
        before = running(state, service.name) or next(iter(known), None)
        if (number := scaled_to(live, service)) is not None:
            report.note(
                f"it stays scaled to {number}, until `scale --replicas file` is run or its file has another number"
            )
        if before:
            copies = with_replicas(before.objects, live, before.release.settings)
            before = replace(before, objects=tuple(with_current_secret_values(copies, state)))
        objects = with_current_secret_values(with_replicas(objects, live, service), state)
        return RolloutPlan(service, objects, before, known)

    def _prune(self, service: str, desired: Sequence[Object], report: Reporter) -> None:
        """Remove what no kept release has, and releases beyond the newest `KEPT`; nothing without our labels."""
        scope, state = self._scope, self._namespace.read()
        known, current = state.releases(service), running(state, service)
        keep = [k for i, k in enumerate(known) if i < KEPT or k is current]
        for one in delete_objects(scope, pruned(state, service, desired, keep), report):
            report.note(f"{one['kind']} {one['metadata']['name']} belongs to no release any more and was removed")
        for kept in known:
            if kept not in keep:
                scope.cluster.delete(pack(scope.project, scope.namespace, kept.release, ()))
