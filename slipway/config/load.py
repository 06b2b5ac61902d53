"""Reads every file a team writes and finds all faults in them at once, each with file, line and a hint."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from slipway.config.models import Config, Environment, Hosts, Images, Model, Project, Service, Tools
from slipway.errors import ExitCode, Problem

M = TypeVar("M", bound=Model)
CHOICES = frozenset({"Generated", "Of", "FromEnv", "FromFile"})  # pydantic names these in the place of a fault


@dataclass
class Faults:
    """What is wrong, one line each: `file:line: what · hint`."""

    lines: list[str] = field(default_factory=list)

    def add(self, file: Path, line: int, what: str, hint: str = "") -> None:
        """Note a fault; a file below the current directory is named from there."""
        here = Path.cwd()
        name = file.relative_to(here) if file.is_relative_to(here) else file
        self.lines.append(f"{name}:{line}: {what}" + (f" · {hint}" if hint else ""))


@dataclass(frozen=True)
class Document:
    """One YAML file: its plain data, and the line of every key."""

    path: Path
    data: Any

    def line(self, place: tuple[int | str, ...]) -> int:
        """The line (from 1) of a place in the file; of its nearest parent where it is absent."""
        node, line = self.data, 1
        for part in place:
            marks = getattr(node, "lc", None)
            try:
                line = (marks.key(part) if isinstance(node, Mapping) else marks.item(part))[0] + 1  # type: ignore[union-attr]
                node = node[part]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return int(line)


def load(root: Path, *, settings: Path | None = None, services: Path | None = None) -> Config:
    """The configuration of the project at `root`.

    A file of the `settings` folder replaces the one of the same name in `root/config`. Raises one Problem (usage) whose
    `why` lists every fault of every file.
    """
    faults = Faults()
    layers = [root / "config", *([settings] if settings else [])]
    if settings and not settings.is_dir():
        raise Problem(f"{settings} is not a folder", fix="--settings names a folder like config/", code=ExitCode.USAGE)
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
    _across(found_services, documents, environments, sources, hosts, faults)
    if faults.lines:
        count = len(faults.lines)
        what = f"the configuration has {count} fault{'s' if count > 1 else ''}"
        fix = "mend them and run the same command again; nothing was changed"
        raise Problem(what, why="\n".join(faults.lines), fix=fix, code=ExitCode.USAGE)
    if project is None or hosts is None or tools is None or images is None:  # pragma: no cover  each is a fault above
        raise Problem("the configuration can't be read", code=ExitCode.USAGE)
    return Config(
        root=root,
        project=project,
        environments=environments,
        hosts=hosts,
        tools=tools,
        images=images,
        services=found_services,
    )


def read(path: Path, faults: Faults) -> Document | None:
    """One YAML file, or None behind a fault."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML(typ="rt")
    yaml.allow_duplicate_keys = False
    try:
        data = yaml.load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        text = str(error.problem or error.context or "not YAML").split("\n")[0]
        faults.add(path, mark.line + 1 if mark else 1, text)
        return None
    except (YAMLError, OSError, ValueError, RecursionError) as error:
        faults.add(path, 1, f"it can't be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        return None
    if data is None:
        data = {}
    if not isinstance(data, Mapping):
        faults.add(path, 1, "it must be keys and values", "`key: value` lines")
        return None
    return Document(path, data)


def plain(value: Any) -> Any:
    """YAML's round-trip types as plain ones."""
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(v) for v in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def parse(document: Document, model: type[M], faults: Faults, **extra: object) -> M | None:
    """A document as a model, or None with its faults noted."""
    try:
        return model.model_validate({**plain(document.data), **extra})
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            place = tuple(fault["loc"])
            what, hint = said(fault, model)
            faults.add(document.path, document.line(place), what, hint)
        return None


def said(fault: Mapping[str, Any], model: type[Model]) -> tuple[str, str]:
    """A pydantic fault in plain words: what, and a hint."""
    place = [part for part in fault["loc"] if part not in CHOICES]
    name = ".".join(str(part) for part in place) or "the file"
    got = repr(fault.get("input"))[:60]
    kind = str(fault["type"])
    if kind == "extra_forbidden":
        known = sorted(_keys(model))
        near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(_own(model)))}"
        return f"unknown key {name}", hint
    if kind == "missing":
        return f"{name} is missing", ""
    words = {
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "string_type": "text",
        "bool_parsing": "true or false",
        "bool_type": "true or false",
        "dict_type": "keys and values",
        "model_type": "keys and values",
        "tuple_type": "a list",
    }
    if kind in words:
        return f"{name} must be {words[kind]}, not {got}", ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}" + ("" if got in message else f", not {got}"), ""


def _own(model: type[Model]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()} - {"folder"}


def _keys(model: type[Model]) -> Iterator[str]:
    """Every key that may stand somewhere in a model's file."""
    seen: set[type] = set()
    waiting: list[Any] = [model]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, Model) and kind not in seen:
            seen.add(kind)
            yield from _own(kind)
            waiting += [f.annotation for f in kind.model_fields.values()]
        waiting += getattr(kind, "__args__", ())


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
        _checks(service, document, faults)
    return found, documents


def _checks(service: Service, document: Document, faults: Faults) -> None:
    from jsonpath import JSONPathError
    from jsonpath import compile as jsonpath

    from slipway.smoke.line import parse as curl

    known = {"BASE"}
    for index, check in enumerate(service.checks):
        place = ("checks", index, "curl")
        try:
            line = curl(check.curl)
        except ValueError as error:
            faults.add(document.path, document.line(place), f"{check.name}: {error}")
            continue
        for name in sorted(line.variables - known):
            faults.add(document.path, document.line(place), f"{check.name}: ${name} is saved by no check before it")
        for path in [*check.expect.at, *(save.at for save in check.save.values() if save.at)]:
            try:
                jsonpath(path)
            except JSONPathError as error:
                faults.add(document.path, document.line(("checks", index)), f"{check.name}: {path}: {error}")
        known |= set(check.save)


def _across(
    services: Mapping[str, Service],
    documents: Mapping[str, Document],
    environments: Mapping[str, Environment],
    sources: Mapping[str, Document],
    hosts: Hosts | None,
    faults: Faults,
) -> None:
    """What only shows when the files are seen together."""
    ports: dict[int, str] = {}
    for name, service in services.items():
        document = documents[name]
        other = ports.setdefault(service.published, name)
        if other != name:
            place = document.line(("publish",) if service.publish else ("port",))
            free = next(
                p for p in range(service.published + 1, 65536) if p not in {s.published for s in services.values()}
            )
            faults.add(document.path, place, f"{other} publishes {service.published} too", f"publish: {free} is free")
        for index, need in enumerate(service.needs):
            if need not in services:
                faults.add(
                    document.path,
                    document.line(("needs", index)),
                    f"needs {need}, which is no service",
                    _near(need, services),
                )
        for secret, how in service.secrets.items():
            owner = getattr(how, "of", None)
            if owner and (owner not in services or secret not in services[owner].secrets):
                faults.add(document.path, document.line(("secrets", secret)), f"service {owner} has no secret {secret}")
    for cycle in cycles({name: service.needs for name, service in services.items()}):
        document = documents[cycle[0]]
        faults.add(document.path, document.line(("needs",)), f"needs go in a circle: {' → '.join(cycle)}")
    for name, environment in environments.items():
        document = sources.get(name, Document(Path(f"environments/{name}.yaml"), {}))
        for service_name in environment.services:
            if service_name not in services:
                place = document.line(("services", service_name))
                faults.add(document.path, place, f"{service_name} is no service", _near(service_name, services))
        if environment.host and hosts is not None and environment.host not in hosts.hosts:
            faults.add(
                document.path,
                document.line(("host",)),
                f"{environment.host} is not in hosts.yaml",
                _near(environment.host, hosts.hosts),
            )


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


def default_environment(root: Path) -> str:
    """The environment that this checkout uses when none is named."""
    try:
        return (root / ".slipway" / "environment").read_text().strip() or "local"
    except OSError:
        return "local"


def folder_option(value: str | None, variable: str, cwd: Path) -> Path | None:
    """A folder from a flag, or else from the environment variable; relative to where the user stands."""
    text = value or os.environ.get(variable)
    return (cwd / Path(text).expanduser()).resolve() if text else None
