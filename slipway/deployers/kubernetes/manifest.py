"""What a service is rendered as, once in a run."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.kubernetes.objects import Object


@dataclass(frozen=True)
class Manifest:
    """A service's objects with `IMAGE` in the image's place, and their digest with that of the checks."""

    objects: tuple[Object, ...]
    digest: str
