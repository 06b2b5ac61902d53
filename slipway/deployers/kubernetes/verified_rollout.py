"""A release rolled out and verified by its checks; the earlier one is restored when that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from slipway.config.models import Service
from slipway.deployers.deployer import addresses
from slipway.deployers.kubernetes.apply import AUTOSCALER, apply_objects
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.release_store import StoredRelease, surplus
from slipway.engine.reporter import Reporter, uncancellable
from slipway.errors import Cancelled, NextCommand, Problem, deploy_command
from slipway.kubernetes import rollout
from slipway.kubernetes.objects import Object
from slipway.kubernetes.snapshot import read_full_snapshot


@dataclass(frozen=True)
class RolloutPlan:
    """A release's objects, the release that is restored if it fails, and all stored releases of the service."""

    service: Service
    objects: Sequence[Object]
    before: StoredRelease | None
    stored: Sequence[StoredRelease]


def roll_out_and_verify(scope: NamespaceScope, plan: RolloutPlan, report: Reporter) -> Mapping[str, bool]:
    """Roll a release out and run its checks; their results by name.

    When that fails or is cancelled, the release before is restored, and the error's hint says what is running.
    """
    before = plan.before.objects if plan.before else ()
    autoscalers = [one for one in surplus(before, plan.objects, ()) if one["kind"] == AUTOSCALER]
    try:
        apply_objects(scope.cluster, plan.objects, report, autoscalers)
        rollout.wait(scope.workload(plan.service.name), report)
        return verify(scope, plan.service, report)
    except Cancelled:
        if plan.before:
            _apply_earlier(scope, plan, plan.before, uncancellable(report))
            report.note(f"release {plan.before.release.number} was restored")
        raise
    except Problem as problem:
        outcome = _roll_back(scope, plan, report)
        hint, commands = f"{problem.hint}\n{outcome.text}".strip(), (*problem.commands, *outcome.commands)
        raise Problem(problem.summary, details=problem.details, hint=hint, commands=commands) from problem


def verify(scope: NamespaceScope, service: Service, report: Reporter) -> Mapping[str, bool]:
    """Run the checks of the running service; their results by name. Raises Problem with the evidence of failed ones."""
    if not service.checks:
        return {}
    with scope.check_runner(report) as checks:
        urls = addresses(service, partial(_address, scope))
        found = checks.run(service.checks, urls, report)
    if not found.ok:
        evidence = rollout.evidence(read_full_snapshot(scope.workload(service.name)))
        raise Problem(f"{service.name}: live checks failed: {found.failed}", details=f"{found.text}\n{evidence}")
    return found.record


def _address(scope: NamespaceScope, service: str) -> str:
    """The URL by which pods of the namespace reach a service."""
    found = scope.cluster.get("v1", "Service", service, scope.namespace)
    if found is None:
        summary = f"namespace {scope.namespace} has no Service {service}"
        raise Problem(summary, commands=[deploy_command(service)])
    return f"http://{service}.{scope.namespace}.svc:{found['spec']['ports'][0]['port']}"


@dataclass(frozen=True)
class RollbackOutcome:
    """What is running after a rollback, for a hint, and the commands that help where it failed."""

    text: str
    commands: tuple[NextCommand, ...] = ()


def _roll_back(scope: NamespaceScope, plan: RolloutPlan, report: Reporter) -> RollbackOutcome:
    """Restore the release before, or remove a first one. It can't be cancelled."""
    report = uncancellable(report)
    return _restore(scope, plan, plan.before, report) if plan.before else _remove_first(scope, plan, report)


def _remove_first(scope: NamespaceScope, plan: RolloutPlan, report: Reporter) -> RollbackOutcome:
    name = plan.service.name
    try:
        for one in surplus(plan.objects, (), ()):
            scope.cluster.delete(one)
    except Problem as problem:
        return RollbackOutcome(
            f"{name} is not running; its failed first release could not be removed: {problem.summary}"
        )
    report.note("the failed first release was removed")
    return RollbackOutcome(f"{name} is not running; the failed first release was removed")


def _restore(scope: NamespaceScope, plan: RolloutPlan, before: StoredRelease, report: Reporter) -> RollbackOutcome:
    name, number = plan.service.name, before.release.number
    try:
        _apply_earlier(scope, plan, before, report)
    except Problem as problem:
        again = NextCommand("rollback", {"service": name, "to": number})
        return RollbackOutcome(f"release {number} could not be restored: {problem.summary}", (again,))
    try:
        rollout.wait(scope.workload(name), report)
        verify(scope, before.release.settings, report)
    except Problem as problem:
        return RollbackOutcome(f"release {number} was restored, but its checks failed: {problem.summary}")
    report.note(f"release {number} is running again")
    return RollbackOutcome(f"release {number} of {name} is running again and passed its checks")


def _apply_earlier(scope: NamespaceScope, plan: RolloutPlan, before: StoredRelease, report: Reporter) -> None:
    """Apply an earlier release's objects, and delete those that only the failed one had."""
    apply_objects(scope.cluster, before.objects, report, surplus(plan.objects, before.objects, plan.stored))
