"""A new service from the templates beside this file: its name and port are validated, then all files or none appear."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from slipway.config.fields import dns_label
from slipway.config.models import Override, Service
from slipway.docker import ports
from slipway.engine.reporter import Reporter
from slipway.engine.steps import Change, Probe, Step
from slipway.errors import UsageError

TEMPLATES = Path(__file__).parent / "service"
NAMESPACE = "__folder__"  # in a template's path: the folders of the Clojure namespace
TEMPORARY = ".slipway-"  # begins the name of a folder in which a service is being written
ABANDONED = 60  # seconds after which nothing is being written in such a folder any more
FIRST_PORT = 8080


@dataclass(frozen=True)
class NewService:
    """A service to create in `folder`, in the project of that name. `port` is where `local` publishes it."""

    name: str
    port: int
    project: str
    folder: Path

    @property
    def namespace(self) -> str:
        """The prefix of its Clojure namespaces."""
        return f"{self.project}.{self.name}"

    def files(self) -> Iterator[tuple[str, str]]:
        """Its files: paths relative to its folder, and their texts."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(  # noqa: S701  no HTML
            loader=FileSystemLoader(TEMPLATES),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            variable_start_string="<<",  # braces are Clojure's
            variable_end_string=">>",
        )
        variables = {"name": self.name, "port": self.port, "project": self.project, "namespace": self.namespace}
        folders = self.namespace.replace("-", "_").replace(".", "/")
        for template in sorted(environment.list_templates()):
            path = template.removesuffix(".j2").replace(NAMESPACE, folders)
            yield path, environment.get_template(template).render(variables)


def new_service(
    name: str,
    port: int | None,
    project: str,
    folder: Path,
    services: Mapping[str, Service],
    overrides: Mapping[str, Override] = MappingProxyType({}),
) -> NewService:
    """What `new` creates in the services' folder, beside `services` and what `local` overrides of them.

    Without a `port` it is the first free one. Raises UsageError with a suggestion for an invalid or taken name or port.
    """
    validate_name(name, folder, services)
    published = {service.published: service.name for service in services.values()}
    published |= {override.publish: owner for owner, override in overrides.items() if override.publish}
    free = next(one for one in range(FIRST_PORT, 65536) if one not in published and ports.is_free(one))
    if port is not None:
        validate_port(port, published, hint=f"port {free} is free")
    return NewService(name, port or free, project, folder / name)


def validate_name(name: str, folder: Path, services: Collection[str]) -> None:
    """Raise UsageError with a suggestion for a name that is invalid, or that a service or a file has already."""
    try:
        dns_label(name)
    except ValueError as error:
        valid = nearest_label(name)
        suggestion = unused_name(valid, folder, services) if valid else "invoices"
        raise UsageError(f"invalid service name: {error}", hint=f"for example: {suggestion}") from None
    if name in services or (folder / name).exists():
        summary = f"service {name} already exists" if name in services else f"{folder / name} already exists"
        raise UsageError(summary, hint=f"for example: {unused_name(name, folder, services)}")


def validate_port(port: int, published: Mapping[int, str], hint: str) -> None:
    """Raise UsageError for a port that is invalid, that another service publishes, or that a process listens on."""
    if not 1 <= port <= 65535:
        raise UsageError(f"invalid port: {port}", hint=hint)
    if port in published:
        raise UsageError(f"port {port} is already published by {published[port]}", hint=hint)
    if not ports.is_free(port):
        raise UsageError(f"port {port} is in use by {ports.listener(port)}", hint=hint)


def nearest_label(name: str) -> str:
    """The nearest DNS label: My_Service becomes my-service. Empty where no letter is left."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.strip())
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).lstrip("0123456789-")[:40].rstrip("-")


def unused_name(name: str, folder: Path, services: Collection[str]) -> str:
    """The name, or the first of name-2, name-3, … that is not used."""
    candidates = (name if number == 1 else f"{name[:36]}-{number}" for number in range(1, 1000))
    return next(one for one in candidates if one not in services and not (folder / one).exists())


def create(service: NewService) -> Step[bool]:
    """The step that creates a service."""
    return CreateService(
        group=service.name,
        name="files",
        title=f"new service {service.name}",
        probe=Probe(service.folder.exists),
        folder=service.folder,
        files=dict(service.files()),
    )


@dataclass(frozen=True, kw_only=True)
class CreateService(Step[bool]):
    """The folder with these files (texts by relative path). Its fact is whether the folder exists."""

    folder: Path
    files: Mapping[str, str]

    def check(self, facts: bool) -> Change | None:  # noqa: FBT001  the fact itself
        return None if facts else Change(f"{len(self.files)} files in {self.folder}: {', '.join(self.files)}")

    def apply(self, _: Reporter) -> None:
        """Write the files into a temporary folder, then rename it: a service exists as a whole or not at all."""
        remove_abandoned(self.folder.parent)
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix=TEMPORARY) as temporary:
            complete = Path(temporary) / self.folder.name
            for name, text in self.files.items():
                path = complete / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            complete.rename(self.folder)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary folders that killed runs left behind."""
    for temporary in folder.glob(f"{TEMPORARY}*"):
        if time.time() - temporary.stat().st_mtime > ABANDONED:
            shutil.rmtree(temporary, ignore_errors=True)
