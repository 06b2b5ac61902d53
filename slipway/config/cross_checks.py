"""Errors that only show when the files are seen together, or when the line of a check is parsed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slipway.config import curl
from slipway.config.document import Document, FileErrors
from slipway.config.expose import Expose
from slipway.config.feasibility import faults
from slipway.config.models import Environment, Hosts, Service, url_variable
from slipway.config.own_objects import check_own_objects
from slipway.config.quantity import parse_minikube_memory
from slipway.config.secret_sources.generated import Generated

MINIKUBE_MEMORY = 1800 * 2**20  # bytes: minikube refuses less (minikube, cmd/minikube/cmd/start.go, minUsableMem)


@dataclass(frozen=True)
class Files:
    """What was read of a project: models by name, and their documents, whose lines errors are reported at.

    Services that are `invalid` have errors of their own: others may name them. `hosts` is None where its file is.
    """

    services: Mapping[str, Service]
    service_documents: Mapping[str, Document]
    environments: Mapping[str, Environment]
    environment_documents: Mapping[str, Document]
    hosts: Hosts | None
    invalid: Collection[str] = ()
    own: Mapping[str, Sequence[Document]] = field(default_factory=dict)  # the objects of manifests/, by service
    project: str = ""

    @property
    def published(self) -> dict[str, int]:
        """The ports that services publish, where no environment changes them."""
        return {name: service.published for name, service in self.services.items()}

    def environment_document(self, name: str) -> Document:
        """The document of an environment; without one, none of its keys has a line."""
        return self.environment_documents.get(name, Document(Path(f"environments/{name}.yaml"), {}))


def cross_check(files: Files, errors: FileErrors) -> None:
    """Add every error that only shows when the files are seen together."""
    check_ports(files, errors)
    for name, service in files.services.items():
        check_feasibility(service, files.service_documents[name], errors)
        check_needs(files, service, files.service_documents[name], errors)
        check_secrets(files, service, files.service_documents[name], errors)
    check_cycles(files, errors)
    check_own_objects(files.services, files.own, files.environments, files.project, errors)
    for name, environment in files.environments.items():
        check_environment(files, environment, files.environment_document(name), errors)


def check_ports(files: Files, errors: FileErrors) -> None:
    """Two services can't publish the same port."""
    for name, summary, hint in port_conflicts(files.published, files.published):
        document = files.service_documents[name]
        line = document.line(("publish",) if files.services[name].publish else ("port",))
        errors.add(document.path, line, summary, hint)


def check_feasibility(service: Service, document: Document, errors: FileErrors) -> None:
    """Nothing of a service may be what can't work later."""
    for fault in faults(service):
        errors.add(document.path, document.line(fault.keys), fault.summary, fault.hint)


def check_overrides(files: Files, environment: Environment, document: Document, errors: FileErrors) -> None:
    """Nor may anything that an environment makes of it."""
    for name, override in environment.services.items():
        if service := files.services.get(name):
            known = {*faults(service)}
            for fault in faults(service.overridden_by(override)):
                if fault not in known:
                    errors.add(
                        document.path,
                        document.line(("services", name, *fault.keys)),
                        f"{name}: {fault.summary}",
                        fault.hint,
                    )


def check_needs(files: Files, service: Service, document: Document, errors: FileErrors) -> None:
    """What a service needs must be a service."""
    for index, need in enumerate(service.needs):
        if need not in files.services and need not in files.invalid:
            summary = f"unknown service in needs: {need}"
            errors.add(document.path, document.line(("needs", index)), summary, _did_you_mean(need, files.services))


def check_secrets(files: Files, service: Service, document: Document, errors: FileErrors) -> None:
    """A secret of another service must be one that it generates."""
    for name, source in service.secrets.items():
        owner_name = source.owner(service.name)
        if isinstance(source, Generated) or owner_name in files.invalid:
            continue
        owner = files.services.get(owner_name)
        declared = owner.secrets.get(name) if owner else None
        keys = ("secrets", name)
        if declared is None:
            errors.add(document.path, document.line(keys), f"service {owner_name} has no secret {name}")
        elif not isinstance(declared, Generated):
            summary = f"service {owner_name} does not generate {name}: it uses that of another service"
            further = declared.owner(owner_name)
            hint = f"of: {further}" if further != service.name else "one of them must generate it"
            errors.add(document.path, document.line(keys), summary, hint)


def check_cycles(files: Files, errors: FileErrors) -> None:
    """No service may need itself, directly or not."""
    for cycle in cycles({name: service.needs for name, service in files.services.items()}):
        document = files.service_documents[cycle[0]]
        errors.add(document.path, document.line(("needs",)), f"circular needs: {' → '.join(cycle)}")


def check_environment(files: Files, environment: Environment, document: Document, errors: FileErrors) -> None:
    """An environment's services and host must exist, and its ports must not conflict."""
    changed = {
        name: override.publish
        for name, override in environment.services.items()
        if override.publish and name in files.services
    }
    for name, summary, hint in port_conflicts(files.published | changed, changed):
        errors.add(document.path, document.line(("services", name, "publish")), summary, hint)
    check_overrides(files, environment, document, errors)
    check_exposed(files, environment, document, errors)
    if parse_minikube_memory(environment.cluster_spec.memory) < MINIKUBE_MEMORY:
        summary = f"cluster.memory: {environment.cluster_spec.memory} is too little for a Minikube"
        errors.add(document.path, document.line(("cluster", "memory")), summary, "at least 1800m; 4g is the default")
    for name in environment.services:
        if name not in files.services and name not in files.invalid:
            line = document.line(("services", name))
            errors.add(document.path, line, f"unknown service: {name}", _did_you_mean(name, files.services))
    host, hosts = environment.host, files.hosts
    if host and hosts is not None and host not in hosts.hosts:
        summary = f"{host} is not in hosts.yaml"
        keys = ("docker",) if environment.on_docker else ("cluster", "host")
        errors.add(document.path, document.line(keys), summary, _did_you_mean(host, hosts.hosts))


def check_exposed(files: Files, environment: Environment, document: Document, errors: FileErrors) -> None:
    """Of an environment, no two services answer at the same URL, and those of one host have the same certificate."""
    owners: dict[str, tuple[str, Expose]] = {}
    for name, service in sorted(files.services.items()):
        how = environment.of(service).expose
        if how is None:
            continue
        line = document.line(("services", name, "expose"))
        if not environment.on_docker:
            errors.add(document.path, line, f"{name}: `expose` is for a Docker", "remove it from this environment")
        for url in (how.url, how.host):
            owner, other = owners.setdefault(url, (name, how))
            if owner != name and url == how.url:
                errors.add(document.path, line, f"{name}: {owner} answers at {url} already", "another host or path")
            elif owner != name and other.tls != how.tls:
                errors.add(document.path, line, f"{name}: {owner} has another `tls` for {how.host}", "use the same")


def check_checks(service: Service, document: Document, errors: FileErrors) -> None:
    """A service's checks need names of their own, valid curl lines, and only values that earlier checks save."""
    known = {"BASE", *(url_variable(need) for need in service.needs)}
    names: set[str] = set()
    for index, check in enumerate(service.checks):
        if check.name in names:
            line = document.line(("checks", index, "name"))
            errors.add(document.path, line, f"duplicate check name: {check.name}", "results are recorded by name")
        names.add(check.name)
        keys = ("checks", index, "curl")
        try:
            variables = curl.parse(check.curl).variables
        except ValueError as error:
            errors.add(document.path, document.line(keys), f"{check.name}: {error}")
            continue
        for name in sorted(variables - known):
            need = name.removesuffix("_URL").lower().replace("_", "-")
            hint = f"`needs: [{need}]` provides it" if name.endswith("_URL") else ""
            errors.add(document.path, document.line(keys), f"{check.name}: no earlier check saves ${name}", hint)
        known |= set(check.save)


def port_conflicts(published: Mapping[str, int], newer: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Those of `newer` whose port another service publishes: the name, what is wrong, and a hint with a free port."""
    owners: dict[int, str] = {}
    for name in sorted(published, key=lambda one: one in newer):
        port = published[name]
        owner = owners.setdefault(port, name)
        if owner != name and name in newer:
            free = next((p for p in range(port + 1, 65536) if p not in published.values()), 0)
            yield name, f"port {port} is already published by {owner}", f"publish: {free} is free" if free else ""


def cycles(needs: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Every cycle of needs, once, from its first name in order: [a, b, a]."""
    found: list[list[str]] = []

    def walk(path: list[str]) -> None:
        for need in needs.get(path[-1], ()):
            if need == path[0]:
                found.append([*path, need])
            elif need in needs and need not in path and need > path[0]:
                walk([*path, need])

    for name in sorted(needs):
        walk([name])
    return found


def _did_you_mean(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""
