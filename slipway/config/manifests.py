"""A service's own manifests/*.yaml: read as kubectl reads them, every error in them found with its file and line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.config import kubernetes_yaml
from slipway.config.document import Document, FileErrors
from slipway.config.files import yaml_files
from slipway.config.kubernetes_yaml import json_value
from slipway.config.yaml_reader import Unreadable

FOLDER = "manifests"


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """The objects of a service's own manifests, in which `check` found no error."""
    for path in yaml_files(folder / FOLDER, FileErrors()).values():
        for found in objects(path):
            values = json_value(found.data)
            if isinstance(values, dict):
                yield values


def check(folder: Path, errors: FileErrors) -> list[Document]:
    """Add the errors in a service's own manifests; the objects in which there are none."""
    sound = []
    for path in yaml_files(folder / FOLDER, errors).values():
        try:
            for found in objects(path):
                before = len(errors.lines)
                _check_object(found, errors)
                sound += [found] if len(errors.lines) == before else []
        except Unreadable as error:
            errors.add(path, error.line, error.summary, error.hint)
    return sound


def objects(path: Path) -> Iterator[Document]:
    """The objects of a file. Raises Unreadable."""
    for data in kubernetes_yaml.documents(path):
        yield from (Document(path, one) for one in _objects(data) if one is not None)


def _objects(data: Any) -> Iterator[Any]:
    """An object, or those of a List (`kind: List`, `kind: ConfigMapList`), as kubectl reads it."""
    if isinstance(data, Mapping) and str(data.get("kind")).endswith("List") and isinstance(data.get("items"), list):
        for item in data["items"]:
            yield from _objects(item)
    else:
        yield data


def _check_object(found: Document, errors: FileErrors) -> None:
    if not isinstance(found.data, Mapping):
        errors.add(found.path, 1, "an object must be a mapping", "with apiVersion, kind, metadata")
        return
    line = min((found.line((key,)) for key in found.data), default=1)
    metadata = found.data.get("metadata")
    required = {
        "apiVersion": found.data.get("apiVersion"),
        "kind": found.data.get("kind"),
        "metadata.name": metadata.get("name") if isinstance(metadata, Mapping) else None,
    }
    missing = [key for key, value in required.items() if not isinstance(json_value(value), str) or not value]
    if missing:
        errors.add(found.path, line, f"an object lacks {', '.join(missing)}", "each must be a string")
    for part in ("labels", "annotations"):
        _check_texts(found, ("metadata", part), errors)
    if required["kind"] == "ConfigMap":
        _check_texts(found, ("data",), errors)
    if required["kind"] == "Secret":
        _check_secret(found, errors)


def _check_texts(found: Document, keys: tuple[str, ...], errors: FileErrors) -> None:
    """Add what is not text where the API has nothing else; nothing at all is empty."""
    values = found.data
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    name = ".".join(keys)
    if values is not None and not isinstance(values, Mapping):
        errors.add(found.path, found.line(keys), f"{name} must be a mapping")
        return
    for key, value in (values or {}).items():
        if value is not None and not isinstance(read := json_value(value), str):
            kind = "a mapping or list" if isinstance(read, dict | list) else json.dumps(read)
            summary = f"{name}.{key} must be a string, and kubectl reads {kind} here"
            errors.add(found.path, found.line((*keys, key)), summary, "quote the value")


def _check_secret(found: Document, errors: FileErrors) -> None:
    for part in ("data", "stringData"):
        values = found.data.get(part) or {}
        if not isinstance(values, Mapping):
            errors.add(found.path, found.line((part,)), f"{part} must be a mapping")
            continue
        for key, value in values.items():
            if not isinstance(json_value(value), str) or (part == "data" and not _is_base64(value)):
                summary = f"{part}.{key} must be {'base64' if part == 'data' else 'a string'}"
                errors.add(found.path, found.line((part, key)), summary, "its value is not shown")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return False
    return True
