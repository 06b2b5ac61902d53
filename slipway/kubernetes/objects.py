"""An object of the Kubernetes API as JSON data: what a manifest says, and what the API server answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]  # apiVersion, kind, metadata and, by its kind, spec, data, status and others
Identity = tuple[str, str, str, str]  # API group, kind, namespace ("" at cluster scope), name


def group(one: Object) -> str:
    """The API group of an object, of whatever version: "" is that of Pod."""
    return str(one["apiVersion"]).rpartition("/")[0]


def identity(one: Object) -> Identity:
    """What tells an object from every other one of its cluster."""
    meta = one["metadata"]
    return group(one), str(one["kind"]), str(meta.get("namespace") or ""), str(meta["name"])
