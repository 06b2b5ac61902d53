"""An object of the Kubernetes API as JSON data: what a manifest says, and what the API server answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]  # apiVersion, kind, metadata and, by its kind, spec, data, status and others
