"""Reads every file that a team writes and finds all errors in them at once, each with file, line and a hint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from glob import has_magic
from pathlib import Path

from slipway.config import manifests
from slipway.config.cross_checks import Files, check_checks, cross_check
from slipway.config.document import Document, FileErrors, M, parse, read
from slipway.config.files import visible, yaml_files
from slipway.config.models import BUILT_IN, Config, Environment, Hosts, Project, Service
from slipway.config.paths import is_file, is_folder
from slipway.config.versions import Images, Tools
from slipway.config.yaml_cache import YamlCache
from slipway.config.yaml_reader import plain
from slipway.errors import UsageError


def load(
    root: Path, *, settings: Path | None = None, services: Path | None = None, cache: YamlCache | None = None
) -> Config:
    """The configuration of the project at `root`.

    A file in the folder `settings` replaces the one of the same name in `root/config`. What `cache` has of earlier
    commands isn't parsed again. Raises one UsageError whose details list every error in every file.
    """
    if settings and not is_folder(settings):
        raise UsageError(f"{settings} is not a folder", hint="name a folder like config/")
    errors = FileErrors()
    folders = [root / "config", *([settings] if settings else [])]
    paths = {name: path for folder in folders for name, path in yaml_files(folder, errors).items()}

    project = _read_project(paths, root, errors, cache)
    hosts = _read_settings(paths, "hosts", Hosts, errors, cache)
    tools = _read_settings(paths, "tools", Tools, errors, cache)
    images = _read_settings(paths, "images", Images, errors, cache)
    environments, environment_documents = _read_environments(folders, errors, cache)
    folder = services or root / (project.services if project else "services")
    files = _service_files(folder, errors)
    found, documents, own = _read_services(files, errors, cache)
    invalid = {path.parent.name for path in files} - {*found}
    name = project.name if project else ""
    cross_check(Files(found, documents, environments, environment_documents, hosts, invalid, own, name), errors)

    if errors.lines and not files and is_folder(folder):  # what others name is missing for this reason
        hint = "a service is a folder with a service.yaml; `services:` in slipway.yaml names the folder of all"
        errors.add(folder, 1, "the services folder has no services", hint)
    if errors.lines:
        count = len(errors.lines)
        summary = f"{count} error{'s' if count > 1 else ''} in the configuration"
        hint = "fix them and run the same command again; nothing was changed"
        raise UsageError(summary, details="\n".join(errors.lines), hint=hint)
    if project is None or hosts is None or tools is None or images is None:  # pragma: no cover  each is an error above
        raise UsageError("the configuration can't be read")
    if cache:
        cache.save()
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


def load_hosts(root: Path, settings: Path | None, cache: YamlCache | None = None) -> Hosts | None:
    """hosts.yaml alone, so that hosts can be connected to while the rest is read. None: `load` reports its errors."""
    ignored = FileErrors()
    candidates = [yaml_files(folder, ignored).get("hosts") for folder in (settings, root / "config") if folder]
    path = next((path for path in candidates if path), None)
    if path is None:
        return Hosts()
    document = read(path, ignored, cache)
    return parse(document, Hosts, ignored) if document else None


def default_environment(root: Path) -> str:
    """The environment that this checkout uses when a command names none."""
    try:
        return (root / ".slipway" / "environment").read_text().strip() or "local"
    except OSError:
        return "local"


def _read_project(paths: Mapping[str, Path], root: Path, errors: FileErrors, cache: YamlCache | None) -> Project | None:
    if "slipway" not in paths:
        hint = "it names the project: `name: my-team` and `short: mt`"
        errors.add(root / "config" / "slipway.yaml", 1, "the file is missing", hint)
        return None
    document = read(paths["slipway"], errors, cache)
    return parse(document, Project, errors) if document else None


def _read_settings(
    paths: Mapping[str, Path], name: str, model: type[M], errors: FileErrors, cache: YamlCache | None
) -> M | None:
    """A file that may be absent; None where it has errors."""
    if name not in paths:
        return model()
    document = read(paths[name], errors, cache)
    return parse(document, model, errors) if document else None


def _read_environments(
    folders: Sequence[Path], errors: FileErrors, cache: YamlCache | None
) -> tuple[dict[str, Environment], dict[str, Document]]:
    found: dict[str, Environment] = {}
    documents: dict[str, Document] = {}
    files = (yaml_files(folder / "environments", errors) for folder in folders)
    for name, path in {name: path for paths in files for name, path in paths.items()}.items():
        document = read(path, errors, cache)
        if document is None or _has_old_keys(document, errors):
            continue
        if environment := parse(document, Environment, errors, name=name):
            found[name], documents[name] = environment, document
    for name in BUILT_IN:
        found.setdefault(name, Environment(name=name))
    return found, documents


def _has_old_keys(document: Document, errors: FileErrors) -> bool:
    """Whether an environment has keys that now belong to its cluster; each is an error with the line to write."""
    data = plain(document.data)
    old = [key for key in ("host", "context", "registry") if key in data]
    kind = "context" if "context" in data else "minikube"
    before = data["cluster"] if isinstance(data.get("cluster"), Mapping) and kind == "minikube" else {}
    cluster = {"kind": kind, **{key: data[key] for key in old}, **before}
    line = ", ".join(f"{key}: {value}" for key, value in cluster.items())
    for key in old:
        hint = f"write `cluster: {{{line}}}`"
        errors.add(document.path, document.line((key,)), f"{key} belongs to the cluster", hint)
    return bool(old)


def _service_files(folder: Path, errors: FileErrors) -> list[Path]:
    if not is_folder(folder):
        errors.add(folder, 1, "the services folder does not exist", "name another folder")
        return []
    found = (yaml_files(service, errors).get("service") for service in visible(folder, errors))
    return [path for path in found if path]


def _read_services(
    files: Sequence[Path], errors: FileErrors, cache: YamlCache | None
) -> tuple[dict[str, Service], dict[str, Document], dict[str, list[Document]]]:
    """The services that have no error, their documents, and the objects of their manifests/; each by name."""
    found: dict[str, Service] = {}
    documents: dict[str, Document] = {}
    own: dict[str, list[Document]] = {}
    for path in files:
        document = read(path, errors, cache)
        service = parse(document, Service, errors, folder=path.parent) if document else None
        if document is None or service is None:
            continue
        found[service.name], documents[service.name] = service, document
        _check_folder(service, document, errors)
        check_checks(service, document, errors)
        own[service.name] = manifests.check(path.parent, errors)
    return found, documents, own


def _check_folder(service: Service, document: Document, errors: FileErrors) -> None:
    """Add what a service.yaml says that its folder does not bear out."""
    path, folder = document.path, document.path.parent
    relative_hint = "paths are relative to the service's folder"
    if service.name != folder.name:
        summary = f"name is {service.name}, but the folder is {folder.name}"
        errors.add(path, document.line(("name",)), summary, "rename one of them")
    if service.image is None and not is_file(folder / service.dockerfile):
        errors.add(path, document.line(("dockerfile",)), f"{service.dockerfile} does not exist", relative_hint)
    if service.config and not is_file(folder / service.config):
        errors.add(path, document.line(("config",)), f"{service.config} does not exist", relative_hint)
    if service.image is None and service.build == "lein" and not is_file(folder / "project.clj"):
        hint = "build: none uses the Dockerfile alone"
        errors.add(path, document.line(("build",)), "build: lein needs a project.clj", hint)
    for index, relative in enumerate(service.builder.inputs if service.builder else ()):
        if not is_file(folder / relative) and not is_folder(folder / relative):
            hint = "inputs are files and folders, not patterns" if has_magic(relative) else relative_hint
            errors.add(path, document.line(("build", "inputs", index)), f"{relative} does not exist", hint)
    for index, (relative, shared) in enumerate(zip(service.sources, service.shared, strict=True)):
        keys = ("sources", index)
        if not is_folder(shared) and not is_file(shared):
            errors.add(path, document.line(keys), f"{relative} does not exist", relative_hint)
        elif shared.is_relative_to(folder):
            hint = "sources are files and folders outside of it"
            errors.add(path, document.line(keys), f"{relative} is in the service's own folder", hint)
