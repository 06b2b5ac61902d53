"""The Namespace of a project."""

from __future__ import annotations

from slipway.kubernetes.manifests.labels import labels
from slipway.kubernetes.objects import Object


def namespace(project: str, name: str) -> Object:
    """A namespace that enforces the Pod Security Standard `restricted`."""
    enforce = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**labels(project), **enforce}},
    }
