"""Reads every file a team writes and finds all faults in them at once, each with file, line and a hint."""

from __future__ import annotations

import os
from pathlib import Path

from slipway.config import manifests
from slipway.config.cross_checks import across, checks
from slipway.config.document import Document, Faults, M, parse, read
from slipway.config.models import Config, Environment, Hosts, Project, Service
from slipway.config.versions import Images, Tools
from slipway.errors import UsageError


def load(root: Path, *, settings: Path | None = None, services: Path | None = None) -> Config:
    """The configuration of the project at `root`.

    A file of the `settings` folder replaces the one of the same name in `root/config`. Raises one Problem (usage) whose
    `why` lists every fault of every file.
    """
    faults = Faults()
    layers = [root / "config", *([settings] if settings else [])]
    if settings and not settings.is_dir():
        raise UsageError(f"{settings} is not a folder", hint="--settings names a folder like config/")
    files = {p.relative_to(layer): p for layer in layers for p in sorted(layer.rglob("*.yaml"))}

    def one(name: str, model: type[M]) -> M | None:
        path = files.get(Path(name))
        if path is None:
            if name == "slipway.yaml":
                hint = "it names the project: `name: my-team` and `short: mt`"
                faults.add(layers[0] / name, 1, "the file is missing", hint)
                return None
            return model()
        document = read(path, faults)
        return parse(document, model, faults) if document else None

    project = one("slipway.yaml", Project)
    hosts, tools, images = one("hosts.yaml", Hosts), one("tools.yaml", Tools), one("images.yaml", Images)
    environments: dict[str, Environment] = {}
    sources: dict[str, Document] = {}
    for relative, path in files.items():
        if relative.parent == Path("environments") and (document := read(path, faults)):
            found = parse(document, Environment, faults, name=path.stem)
            if found:
                environments[path.stem], sources[path.stem] = found, document
    for name in ("local", "minikube"):
        environments.setdefault(name, Environment(name=name))
    folder = services or root / (project.services if project else "services")
    found_services, documents = _services(folder, faults)
    unread = {path.parent.name for path in folder.glob("*/service.yaml")} - {*found_services}
    across(found_services, documents, environments, sources, hosts, faults, unread)
    if faults.lines:
        count = len(faults.lines)
        summary = f"the configuration has {count} fault{'s' if count > 1 else ''}"
        hint = "mend them and run the same command again; nothing was changed"
        raise UsageError(summary, details="\n".join(faults.lines), hint=hint)
    if project is None or hosts is None or tools is None or images is None:  # pragma: no cover  each is a fault above
        raise UsageError("the configuration can't be read")
    return Config(
        root=root,
        project=project,
        environments=environments,
        hosts=hosts,
        tools=tools,
        images=images,
        folder=folder,
        services=found_services,
    )


def load_hosts(root: Path, settings: Path | None) -> Hosts:
    """hosts.yaml alone, so that hosts are reached while the rest is read; `load` tells its faults with the others."""
    places = [place / "hosts.yaml" for place in (settings, root / "config") if place]
    path = next((place for place in places if place.is_file()), None)
    faults = Faults()
    document = read(path, faults) if path else None
    return (parse(document, Hosts, faults) if document else None) or Hosts()


def _services(folder: Path, faults: Faults) -> tuple[dict[str, Service], dict[str, Document]]:
    found: dict[str, Service] = {}
    documents: dict[str, Document] = {}
    if not folder.is_dir():
        faults.add(folder, 1, "the services folder is missing", "--services names another")
    for path in sorted(folder.glob("*/service.yaml")):
        document = read(path, faults)
        service = parse(document, Service, faults, folder=path.parent) if document else None
        if document is None or service is None:
            continue
        found[service.name], documents[service.name] = service, document
        if service.name != path.parent.name:
            faults.add(
                path, document.line(("name",)), f"name is {service.name} in folder {path.parent.name}", "rename one"
            )
        if service.image is None and not (path.parent / service.dockerfile).is_file():
            faults.add(
                path,
                document.line(("dockerfile",)),
                f"{service.dockerfile} is not there",
                "it is relative to the service",
            )
        if service.config and not (path.parent / service.config).is_file():
            faults.add(
                path, document.line(("config",)), f"{service.config} is not there", "it is relative to the service"
            )
        if service.image is None and service.build == "lein" and not (path.parent / "project.clj").is_file():
            faults.add(
                path,
                document.line(("build",)),
                "build: lein wants a project.clj",
                "build: none uses the Dockerfile alone",
            )
        for index, (relative, shared) in enumerate(zip(service.sources, service.shared, strict=True)):
            if not shared.is_dir() or shared.is_relative_to(path.parent):
                summary = f"{relative} is no folder" if not shared.is_dir() else f"{relative} is the service's own"
                faults.add(path, document.line(("sources", index)), summary, "sources are folders beside the service's")
        checks(service, document, faults)
        manifests.check(path.parent, faults)
    return found, documents


def default_environment(root: Path) -> str:
    """The environment that this checkout uses when none is named."""
    try:
        return (root / ".slipway" / "environment").read_text().strip() or "local"
    except OSError:
        return "local"


def given(variable: str, host: str) -> str | None:
    """A host's secret from the environment: its own variable (with _HOSTNAME behind), else the one for all.

    One that is empty is none.
    """
    return os.environ.get(own_variable(variable, host)) or os.environ.get(variable) or None


def own_variable(variable: str, host: str) -> str:
    """The variable of one host alone."""
    return f"{variable}_{''.join(c if c.isalnum() else '_' for c in host).upper()}"


def at_home(text: str) -> Path:
    """A path whose ~ is a user's home; of a user who is not there it stays as it is, and leads nowhere."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  pathlib's raises for such a user


def folder_option(value: str | None, variable: str, cwd: Path) -> Path | None:
    """A folder from a flag, or else from the environment variable; relative to where the user stands."""
    text = value or os.environ.get(variable)
    return (cwd / at_home(text)).resolve() if text else None
