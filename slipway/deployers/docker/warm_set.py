"""Which containers of a smoke test another one may use: what they are made from, what they need, and their data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.config.models import Service
from slipway.config.quantity import parse_bytes
from slipway.deployers.deployer import DesiredRelease
from slipway.deployers.docker.container import settings_digest


@dataclass(frozen=True)
class Need:
    """A service that a test needs, with all that it needs itself, and the digest of what its container is made from."""

    service: Service
    needs: frozenset[str]
    content: str

    @property
    def has_data(self) -> bool:
        """Whether its data must be made fresh for each test."""
        return bool(self.service.smoke.restore)


def content_digest(desired: DesiredRelease[Any], needs: Collection[str]) -> str:
    """The digest of all that a container is made from and must do; `needs` are those of the services that it needs."""
    settings = settings_digest(desired.service, desired.secrets)
    facts = [desired.image, settings, desired.service.smoke.model_dump(mode="json"), sorted(needs)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def usable(needs: Mapping[str, Need], candidates: Collection[str], members: Collection[str]) -> set[str]:
    """Those of `candidates` that another test may use: with all that they need, and what has data with all its users.

    `members` are all that ran together; of one that is not among `needs`, nobody knows what it has written to.
    """
    found = set(candidates)

    def is_spoiled(name: str) -> bool:
        need = needs[name]
        users = {one for one in members if one not in needs or name in needs[one].needs}
        return not need.needs <= found or (need.has_data and not users <= found)

    while spoiled := {name for name in found if is_spoiled(name)}:
        found -= spoiled
    return found


def fitting(needs: Mapping[str, Need], memory: int) -> set[str]:
    """Those that may be used again, and whose memory limits fit into `memory` (bytes), in the order of `needs`."""
    found: set[str] = set()
    for name, need in needs.items():
        limit = parse_bytes(need.service.resources.memory_limit)
        if need.service.reusable and limit <= memory:
            found.add(name)
            memory -= limit
    return found
