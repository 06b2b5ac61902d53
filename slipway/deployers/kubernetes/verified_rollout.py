"""A release rolled out and verified by its checks; the earlier one is restored when that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slipway.config.models import Service
from slipway.deployers.kubernetes import early_checks
from slipway.deployers.kubernetes.apply import AUTOSCALER, apply_objects, delete_objects
from slipway.deployers.kubernetes.live_checks import verify
from slipway.deployers.kubernetes.namespace_scope import NamespaceScope
from slipway.deployers.kubernetes.release_store import StoredRelease, surplus
from slipway.engine.reporter import Reporter, uncancellable
from slipway.errors import Cancelled, NextCommand, Problem
from slipway.kubernetes import rollout
from slipway.kubernetes.objects import Object


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
    if plan.service.checks:
        scope.checks.prepare()
    try:
        delete_objects(scope, autoscalers, report)  # first, since one would set the number of replicas again
        apply_objects(scope, plan.objects, report)
        with early_checks.begin(scope, plan.service) as early:
            rollout.wait(scope.workload(plan.service.name), report)
            return verify(scope, plan.service, report, early.passed() if early else None)
    except Cancelled:
        if plan.before:
            number = plan.before.release.number
            try:
                _apply_earlier(scope, plan, plan.before, uncancellable(report))
                report.note(f"release {number} was restored")
            except Problem as problem:
                report.note(f"release {number} could not be restored: {problem.summary}; the next deploy completes it")
        raise
    except Problem as problem:
        outcome = _roll_back(scope, plan, report)
        hint, commands = f"{problem.hint}\n{outcome.text}".strip(), (*problem.commands, *outcome.commands)
        raise Problem(problem.summary, details=problem.details, hint=hint, commands=commands) from problem


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
        delete_objects(scope, surplus(plan.objects, (), ()), report)
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
    only_failed = surplus(plan.objects, before.objects, plan.stored)
    autoscalers = [one for one in only_failed if one["kind"] == AUTOSCALER]
    delete_objects(scope, autoscalers, report)
    apply_objects(scope, before.objects, report)
    delete_objects(scope, [one for one in only_failed if one not in autoscalers], report)
