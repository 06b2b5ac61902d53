"""A new service of the templates beside this file: refused when its name or port won't do, made whole or not at all."""

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
from slipway.engine.steps import Change, Probe, Reporter, Step, function_step
from slipway.errors import UsageError

TEMPLATES = Path(__file__).parent / "service"
FOLDER = "__folder__"  # in a template's path: the namespace as folders
PART, OLD = ".slipway-", 60  # what is being made, and the seconds after which nobody is making it any more
FIRST = 8080  # the first port that a service is published on


@dataclass(frozen=True)
class New:
    """A service that is to be made in `folder`, for a project of that name."""

    name: str
    port: int
    project: str
    folder: Path

    @property
    def namespace(self) -> str:
        """The first words of its Clojure namespaces."""
        return f"{self.project}.{self.name}"

    def files(self) -> Iterator[tuple[str, str]]:
        """Its files: paths below its folder, and texts."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(  # noqa: S701  no HTML
            loader=FileSystemLoader(TEMPLATES),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            variable_start_string="<<",  # Clojure has braces of its own
            variable_end_string=">>",
        )
        words = {"name": self.name, "port": self.port, "project": self.project, "namespace": self.namespace}
        for template in sorted(environment.list_templates()):
            folders = self.namespace.replace("-", "_").replace(".", "/")
            place = template.removesuffix(".j2").replace(FOLDER, folders)
            yield place, environment.get_template(template).render(words)


def planned(
    name: str,
    port: int | None,
    project: str,
    folder: Path,
    services: Mapping[str, Service],
    overrides: Mapping[str, Override] = MappingProxyType({}),
) -> New:
    """What `new` makes in the services' folder, beside `services` and what `local` overrides of them.

    Raises Problem with a suggestion for a name or port that won't do.
    """
    try:
        dns_label(name)
    except ValueError as error:
        near = nearest(name)
        hint = f"try --name {free(near, folder, services)}" if near else "try --name invoices"
        raise UsageError(f"a service can't be called so: {error}", hint=hint) from None
    if name in services or (folder / name).exists():
        summary = f"there is a service {name} already" if name in services else f"{folder / name} is there already"
        raise UsageError(summary, hint=f"try --name {free(name, folder, services)}")
    taken = {service.published: service.name for service in services.values()}
    taken |= {change.publish: one for one, change in overrides.items() if change.publish}
    open_port = next(one for one in range(FIRST, 65536) if one not in taken and ports.free(one))
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"{port} is no port", hint=f"--port {open_port} is free")
    if port in taken:
        raise UsageError(f"{taken[port]} publishes {port}", hint=f"--port {open_port} is free")
    if port is not None and not ports.free(port):
        summary = f"{ports.holder(port)} listens on {port}"
        raise UsageError(summary, hint=f"--port {open_port} is free")
    return New(name, port or open_port, project, folder / name)


def nearest(name: str) -> str:
    """The DNS label that a name comes nearest to: My_Service is my-service. Empty where nothing is left of it."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.strip())
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).lstrip("0123456789-")[:40].rstrip("-")


def free(name: str, folder: Path, services: Collection[str]) -> str:
    """The name, or the first of name-2, name-3, … that nobody has."""
    tries = (name if number == 1 else f"{name[:36]}-{number}" for number in range(1, 1000))
    return next(one for one in tries if one not in services and not (folder / one).exists())


def step(new: New) -> Step[bool]:
    """The step that makes it."""
    files = dict(new.files())

    def differs(there: bool) -> Change | None:  # noqa: FBT001  the fact itself
        return None if there else Change(f"{len(files)} files in {new.folder}: {', '.join(files)}")

    def make(_: Reporter) -> None:
        for left in new.folder.parent.glob(f"{PART}*"):
            if time.time() - left.stat().st_mtime > OLD:  # by one that was killed
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=new.folder.parent, prefix=PART) as text:
            whole = Path(text) / new.name
            for place, content in files.items():
                path = whole / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
            whole.rename(new.folder)

    return function_step(f"{new.name}/files", f"new service {new.name}", Probe(new.folder.exists), differs, make)
