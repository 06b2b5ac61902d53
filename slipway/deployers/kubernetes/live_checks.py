"""The live checks of a service on a cluster: the URL that they go to, their results, and the evidence of a failure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from slipway.config.models import Service
from slipway.deployers.deployer import addresses
from slipway.deployers.kubernetes.namespace_scope import EarlyResult, NamespaceScope
from slipway.engine.reporter import Reporter
from slipway.errors import Problem, deploy_command
from slipway.kubernetes import rollout
from slipway.kubernetes.snapshot import read_full_snapshot


def verify(
    scope: NamespaceScope, service: Service, report: Reporter, early: EarlyResult | None = None
) -> Mapping[str, bool]:
    """Run the checks of the running service, unless they passed early; their results by name.

    Raises Problem with the evidence of failed ones.
    """
    if not service.checks:
        return {}
    workload = scope.workload(service.name)
    with scope.checks.runner(workload, report) as checks:
        found = checks.run(service.checks, urls(scope, service), report, early)
    if not found.ok:
        evidence = rollout.evidence(read_full_snapshot(workload))
        raise Problem(f"{service.name}: live checks failed: {found.failed}", details=f"{found.text}\n{evidence}")
    return found.record


def urls(scope: NamespaceScope, service: Service) -> Mapping[str, str]:
    """The URLs that a service's checks may ask, by variable."""
    return addresses(service, partial(url, scope))


def url(scope: NamespaceScope, service: str) -> str:
    """The URL by which pods of the namespace reach a service."""
    found = scope.cluster.get("v1", "Service", service, scope.namespace)
    if found is None:
        summary = f"namespace {scope.namespace} has no Service {service}"
        raise Problem(summary, commands=[deploy_command(service)])
    return f"http://{service}.{scope.namespace}.svc:{found['spec']['ports'][0]['port']}"
