"""Own objects that are others' already: what a service file makes, what Slipway keeps, or what another manifest has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from slipway.config.document import Document, FileErrors
from slipway.config.models import Environment, Service

Name = tuple[str, str, str]  # API group, kind, name

HINTS = {
    "Service": "give it another name, such as {name}-public, with `selector: {{app.kubernetes.io/name: {name}}}`",
    "Deployment": "give it another name; what service.yaml can't say of its Deployment, Slipway does not change",
    "HorizontalPodAutoscaler": "change `autoscale` in service.yaml instead, or remove it there",
    "PodDisruptionBudget": "give it another name: pods may have several budgets, of which the strictest counts",
    "PersistentVolumeClaim": "change `storage` in service.yaml instead, or give it another name",
}


def check_own_objects(
    services: Mapping[str, Service],
    own: Mapping[str, Sequence[Document]],
    environments: Mapping[str, Environment],
    project: str,
    errors: FileErrors,
) -> None:
    """Add each own object with the API group, kind and name of one that a service file makes, or that is there twice.

    `project` is the namespace of an environment that names none.
    """
    rendered = {one: name for name, service in services.items() for one in _rendered(service, environments)}
    namespaces = {None, "", project, *(environment.namespace for environment in environments.values())}
    seen: dict[tuple[Name, str], Document] = {}
    for documents in own.values():
        for found in documents:
            group, kind, name = one = _name(found)
            namespace = found.data["metadata"].get("namespace")
            line = found.line(("metadata", "name"))
            if one in rendered and namespace in namespaces:
                summary = f"{kind} {name} is made from service.yaml of {rendered[one]} already"
                errors.add(found.path, line, summary, HINTS[kind].format(name=rendered[one]))
            elif (group, kind) in {("", "Secret"), ("coordination.k8s.io", "Lease")} and _is_kept(name):
                errors.add(found.path, line, f"{kind} {name} is where Slipway keeps its own state", "another name")
            elif (first := seen.setdefault((one, str(namespace or "")), found)) is not found:
                where = f"{first.path.name}:{first.line(('metadata', 'name'))} of {first.path.parent.parent.name}"
                errors.add(found.path, line, f"{kind} {name} is in {where} already", "remove one, or rename it")


def _name(found: Document) -> Name:
    return (
        str(found.data["apiVersion"]).rpartition("/")[0],
        str(found.data["kind"]),
        str(found.data["metadata"]["name"]),
    )


def _is_kept(name: str) -> bool:
    return name == "slipway" or name.startswith("slipway.")


def _rendered(service: Service, environments: Mapping[str, Environment]) -> Iterator[Name]:
    """What is made from a service file in some environment, where its name does not follow its content."""
    overrides = (environment.services.get(service.name) for environment in environments.values())
    yield "", "Service", service.name
    yield "apps", "Deployment", service.name
    yield "policy", "PodDisruptionBudget", service.name
    if service.autoscale or any(override and override.autoscale for override in overrides):
        yield "autoscaling", "HorizontalPodAutoscaler", service.name
    for storage in service.storage:
        yield "", "PersistentVolumeClaim", f"{service.name}-{storage}"
