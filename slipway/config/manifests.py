"""A service's own manifests/*.yaml: read as plain data, and every error in them found with its file and line."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.config.document import Document, FileErrors, plain, round_trip_yaml, yaml_error

FOLDER = "manifests"


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """The objects of a service's own manifests, in which `check` found no error."""
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        yield from (plain(found.data) for found in _read(path))


def check(folder: Path, errors: FileErrors) -> None:
    """Add the errors in a service's own manifests."""
    from ruamel.yaml.error import YAMLError

    for path in sorted((folder / FOLDER).glob("*.yaml")):
        try:
            for found in _read(path):
                _check_object(found, errors)
        except (YAMLError, OSError, ValueError, RecursionError) as error:
            errors.add(path, *yaml_error(error))


def _read(path: Path) -> Iterator[Document]:
    for data in round_trip_yaml().load_all(path.read_text(encoding="utf-8")):
        if data is not None:
            yield Document(path, data)


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
    missing = [key for key, value in required.items() if not isinstance(value, str) or not value]
    if missing:
        errors.add(found.path, line, f"an object lacks {', '.join(missing)}", "each must be a string")
    for part in ("labels", "annotations"):
        if isinstance(metadata, Mapping) and not isinstance(metadata.get(part, {}), Mapping):
            errors.add(found.path, found.line(("metadata", part)), f"metadata.{part} must be a mapping")
    if required["kind"] == "Secret":
        _check_secret(found, errors)


def _check_secret(found: Document, errors: FileErrors) -> None:
    for part in ("data", "stringData"):
        values = found.data.get(part, {})
        if not isinstance(values, Mapping):
            errors.add(found.path, found.line((part,)), f"{part} must be a mapping")
            continue
        for key, value in values.items():
            if not isinstance(value, str) or (part == "data" and not _is_base64(value)):
                summary = f"{part}.{key} must be {'base64' if part == 'data' else 'a string'}"
                errors.add(found.path, found.line((part, key)), summary, "its value is not shown")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return False
    return True
