"""One release of one service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.config.models import Service


@dataclass(frozen=True)
class Release:
    """One release of one service, immutable. `image` is a digest, `time` RFC 3339, `checks` results by name."""

    service: str
    number: int
    image: str
    source: str
    manifest: str
    time: str
    who: str
    commit: str
    checks: Mapping[str, bool]
    settings: Service
