"""A service's own manifests/*.yaml: read as plain data, and every fault in them found with its file and line."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.config.document import Document, Faults, plain

FOLDER = "manifests"


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """The objects of a service's own manifests, which `check` found to be faultless."""
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        yield from (plain(found.data) for found in _read(path))


def check(folder: Path, faults: Faults) -> None:
    """Note what is wrong with a service's own manifests."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    for path in sorted((folder / FOLDER).glob("*.yaml")):
        try:
            for found in _read(path):
                _check(found, faults)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            text = str(error.problem or error.context or "not YAML").split("\n")[0]
            faults.add(path, mark.line + 1 if mark else 1, text)
        except (YAMLError, OSError, ValueError, RecursionError) as error:
            said = str(error).splitlines()
            faults.add(path, 1, f"it can't be read: {said[0] if said else type(error).__name__}")


def _read(path: Path) -> Iterator[Document]:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.allow_duplicate_keys = False
    for data in yaml.load_all(path.read_text(encoding="utf-8")):
        if data is not None:
            yield Document(path, data)


def _check(found: Document, faults: Faults) -> None:
    if not isinstance(found.data, Mapping):
        faults.add(found.path, 1, "an object must be keys and values", "apiVersion, kind, metadata")
        return
    line = min((found.line((key,)) for key in found.data), default=1)
    meta = found.data.get("metadata")
    named = {"apiVersion": found.data.get("apiVersion"), "kind": found.data.get("kind")}
    named["metadata.name"] = meta.get("name") if isinstance(meta, Mapping) else None
    missing = [key for key, value in named.items() if not isinstance(value, str) or not value]
    if missing:
        faults.add(found.path, line, f"an object lacks {', '.join(missing)}", "each is text")
    for part in ("labels", "annotations"):
        if isinstance(meta, Mapping) and not isinstance(meta.get(part, {}), Mapping):
            faults.add(found.path, found.line(("metadata", part)), f"metadata.{part} must be keys and values")
    if named["kind"] == "Secret":
        _check_secret(found, faults)


def _check_secret(found: Document, faults: Faults) -> None:
    for part in ("data", "stringData"):
        values = found.data.get(part, {})
        if not isinstance(values, Mapping):
            faults.add(found.path, found.line((part,)), f"{part} must be keys and values")
            continue
        for key, value in values.items():
            if not isinstance(value, str) or (part == "data" and not _base64(value)):
                want = "base64" if part == "data" else "text"
                faults.add(
                    found.path, found.line((part, key)), f"{part}.{key} must be {want}", "its value is not shown"
                )


def _base64(text: str) -> bool:
    try:
        base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return False
    return True
