"""Faults that only show when files are seen together, or when a line of a check is read."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from slipway.config.document import Document, Faults
from slipway.config.models import Environment, Hosts, Of, Service, url_variable


def across(
    services: Mapping[str, Service],
    documents: Mapping[str, Document],
    environments: Mapping[str, Environment],
    sources: Mapping[str, Document],
    hosts: Hosts | None,
    faults: Faults,
    unread: Collection[str] = (),
) -> None:
    """What only shows when the files are seen together. Services `unread` are there, with faults of their own."""
    known = {*services, *unread}
    published = {name: service.published for name, service in services.items()}
    for name, *fault in clashes(published, published):
        line = documents[name].line(("publish",) if services[name].publish else ("port",))
        faults.add(documents[name].path, line, *fault)
    for name, service in services.items():
        document = documents[name]
        for index, need in enumerate(service.needs):
            if need not in known:
                faults.add(
                    document.path,
                    document.line(("needs", index)),
                    f"needs {need}, which is no service",
                    _near(need, services),
                )
        for secret, how in service.secrets.items():
            if not isinstance(how, Of) or how.of in unread:
                continue
            made = services[how.of].secrets.get(secret) if how.of in services else None
            place = document.line(("secrets", secret))
            if made is None:
                faults.add(document.path, place, f"service {how.of} has no secret {secret}")
            elif isinstance(made, Of):
                summary = f"service {how.of} takes {secret} from another service itself"
                hint = f"of: {made.of}" if made.of != name else "one of them generates it"
                faults.add(document.path, place, summary, hint)
    for cycle in cycles({name: service.needs for name, service in services.items()}):
        document = documents[cycle[0]]
        faults.add(document.path, document.line(("needs",)), f"needs go in a circle: {' → '.join(cycle)}")
    for name, environment in environments.items():
        document = sources.get(name, Document(Path(f"environments/{name}.yaml"), {}))
        moved = {one: o.publish for one, o in environment.services.items() if o.publish and one in services}
        for one, *fault in clashes(published | moved, moved):
            faults.add(document.path, document.line(("services", one, "publish")), *fault)
        for service_name in environment.services:
            if service_name not in known:
                place = document.line(("services", service_name))
                faults.add(document.path, place, f"{service_name} is no service", _near(service_name, services))
        if environment.host and hosts is not None and environment.host not in hosts.hosts:
            faults.add(
                document.path,
                document.line(("host",)),
                f"{environment.host} is not in hosts.yaml",
                _near(environment.host, hosts.hosts),
            )


def clashes(published: Mapping[str, int], newer: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Those of `newer` whose port another service publishes: its name, what is wrong, and a port that is free."""
    owners: dict[int, str] = {}
    for name in sorted(published, key=lambda one: one in newer):
        port = published[name]
        other = owners.setdefault(port, name)
        if other != name and name in newer:
            free = next((p for p in range(port + 1, 65536) if p not in published.values()), 0)
            yield name, f"{other} publishes {port} too", f"publish: {free} is free" if free else ""


def _near(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else ""


def cycles(needs: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Every circle of needs, once, from its first name in order: [a, b, a]."""
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


def checks(service: Service, document: Document, faults: Faults) -> None:
    """Note the faults of a service's checks: their names, curl lines, the values that they need, their JSONPaths."""
    from slipway.config.curl import parse as curl

    def hint(name: str) -> str:
        need = name.removesuffix("_URL").lower().replace("_", "-")
        return f"needs: [{need}] gives it" if name.endswith("_URL") else ""

    known = {"BASE", *(url_variable(need) for need in service.needs)}
    names: set[str] = set()
    for index, check in enumerate(service.checks):
        if check.name in names:
            summary = f"{check.name}: another check has this name"
            faults.add(document.path, document.line(("checks", index, "name")), summary, "a result is kept by its name")
        names.add(check.name)
        place = ("checks", index, "curl")
        try:
            line = curl(check.curl)
        except ValueError as error:
            faults.add(document.path, document.line(place), f"{check.name}: {error}")
            continue
        for name in sorted(line.variables - known):
            summary = f"{check.name}: ${name} is saved by no check before it"
            faults.add(document.path, document.line(place), summary, hint(name))
        known |= set(check.save)
