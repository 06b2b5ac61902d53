"""What containers have in common: no privileges; and small ones of Slipway's own, which run beside a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.kubernetes.objects import Object

RESTRICTED: Mapping[str, Any] = {  # Pod Security `restricted`, and a read-only root
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def small_container(name: str, image: str, command: Sequence[str]) -> Object:
    """A container that needs next to nothing."""
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
        "securityContext": dict(RESTRICTED),
    }
