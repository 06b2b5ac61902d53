"""Reads every file that a team writes and finds all errors in them at once, each with file, line and a hint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from slipway.config import manifests
from slipway.config.cross_checks import Files, check_checks, cross_check
from slipway.config.document import Document, FileErrors, M, parse, read
from slipway.config.models import BUILT_IN, Config, Environment, Hosts, Project, Service
from slipway.config.versions import Images, Tools
from slipway.errors import UsageError

PROJECT = Path("slipway.yaml")


def load(root: Path, *, settings: Path | None = None, services: Path | None = None) -> Config:
    """The configuration of the project at `root`.

    A file in the folder `settings` replaces the one of the same name in `root/config`. Raises one UsageError whose
    details list every error in every file.
    """
    if settings and not settings.is_dir():
        raise UsageError(f"{settings} is not a folder", hint="name a folder like config/")
    errors = FileErrors()
    folders = [root / "config", *([settings] if settings else [])]
    paths = {path.relative_to(folder): path for folder in folders for path in sorted(folder.rglob("*.yaml"))}

    project = _read_project(paths, root, errors)
    hosts = _read_settings(paths, "hosts.yaml", Hosts, errors)
    tools = _read_settings(paths, "tools.yaml", Tools, errors)
    images = _read_settings(paths, "images.yaml", Images, errors)
    environments, environment_documents = _read_environments(paths, errors)
    folder = services or root / (project.services if project else "services")
    found, documents = _read_services(folder, errors)
    invalid = {path.parent.name for path in folder.glob("*/service.yaml")} - {*found}
    cross_check(Files(found, documents, environments, environment_documents, hosts, invalid), errors)

    if errors.lines:
        count = len(errors.lines)
        summary = f"{count} error{'s' if count > 1 else ''} in the configuration"
        hint = "fix them and run the same command again; nothing was changed"
        raise UsageError(summary, details="\n".join(errors.lines), hint=hint)
    if project is None or hosts is None or tools is None or images is None:  # pragma: no cover  each is an error above
        raise UsageError("the configuration can't be read")
    return Config(
        root=root,
        project=project,
        environments=environments,
        hosts=hosts,
        tools=tools,
        images=images,
        folder=folder,
        services=found,
    )


def load_hosts(root: Path, settings: Path | None) -> Hosts | None:
    """hosts.yaml alone, so that hosts can be connected to while the rest is read. None: `load` reports its errors."""
    candidates = [folder / "hosts.yaml" for folder in (settings, root / "config") if folder]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        return Hosts()
    ignored = FileErrors()
    document = read(path, ignored)
    return parse(document, Hosts, ignored) if document else None


def default_environment(root: Path) -> str:
    """The environment that this checkout uses when a command names none."""
    try:
        return (root / ".slipway" / "environment").read_text().strip() or "local"
    except OSError:
        return "local"


def _read_project(paths: Mapping[Path, Path], root: Path, errors: FileErrors) -> Project | None:
    if PROJECT not in paths:
        hint = "it names the project: `name: my-team` and `short: mt`"
        errors.add(root / "config" / PROJECT, 1, "the file is missing", hint)
        return None
    document = read(paths[PROJECT], errors)
    return parse(document, Project, errors) if document else None


def _read_settings(paths: Mapping[Path, Path], name: str, model: type[M], errors: FileErrors) -> M | None:
    """A file that may be absent; None where it has errors."""
    if Path(name) not in paths:
        return model()
    document = read(paths[Path(name)], errors)
    return parse(document, model, errors) if document else None


def _read_environments(
    paths: Mapping[Path, Path], errors: FileErrors
) -> tuple[dict[str, Environment], dict[str, Document]]:
    found: dict[str, Environment] = {}
    documents: dict[str, Document] = {}
    for relative, path in paths.items():
        if relative.parent == Path("environments") and (document := read(path, errors)):
            environment = parse(document, Environment, errors, name=path.stem)
            if environment:
                found[path.stem], documents[path.stem] = environment, document
    for name in BUILT_IN:
        found.setdefault(name, Environment(name=name))
    return found, documents


def _read_services(folder: Path, errors: FileErrors) -> tuple[dict[str, Service], dict[str, Document]]:
    found: dict[str, Service] = {}
    documents: dict[str, Document] = {}
    if not folder.is_dir():
        errors.add(folder, 1, "the services folder does not exist", "name another folder")
    for path in sorted(folder.glob("*/service.yaml")):
        document = read(path, errors)
        service = parse(document, Service, errors, folder=path.parent) if document else None
        if document is None or service is None:
            continue
        found[service.name], documents[service.name] = service, document
        _check_folder(service, document, errors)
        check_checks(service, document, errors)
        manifests.check(path.parent, errors)
    return found, documents


def _check_folder(service: Service, document: Document, errors: FileErrors) -> None:
    """Add what a service.yaml says that its folder does not bear out."""
    path, folder = document.path, document.path.parent
    relative_hint = "paths are relative to the service's folder"
    if service.name != folder.name:
        summary = f"name is {service.name}, but the folder is {folder.name}"
        errors.add(path, document.line(("name",)), summary, "rename one of them")
    if service.image is None and not (folder / service.dockerfile).is_file():
        errors.add(path, document.line(("dockerfile",)), f"{service.dockerfile} does not exist", relative_hint)
    if service.config and not (folder / service.config).is_file():
        errors.add(path, document.line(("config",)), f"{service.config} does not exist", relative_hint)
    if service.image is None and service.build == "lein" and not (folder / "project.clj").is_file():
        hint = "build: none uses the Dockerfile alone"
        errors.add(path, document.line(("build",)), "build: lein needs a project.clj", hint)
    for index, (relative, shared) in enumerate(zip(service.sources, service.shared, strict=True)):
        line = document.line(("sources", index))
        if not shared.is_dir():
            errors.add(path, line, f"{relative} is not a folder", relative_hint)
        elif shared.is_relative_to(folder):
            hint = "sources are folders outside of it"
            errors.add(path, line, f"{relative} is in the service's own folder", hint)
