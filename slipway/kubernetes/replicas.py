"""How many replicas a service gets: as many as its file, the command `scale`, or its autoscaler says. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import SCALED
from slipway.kubernetes.objects import Object


def with_replicas(objects: Sequence[Object], live: Object | None, service: Service) -> list[Object]:
    """The objects with the number of replicas that the live Deployment got by other means than the service file.

    That of `scale` counts as long as the file's own number is what it was then. An autoscaler's is carried over, since
    a Deployment that no longer names a number falls to one replica.
    """
    found: list[dict[str, Any]] = json.loads(json.dumps(list(objects)))
    for one in found:
        if one["kind"] == "Deployment" and one["metadata"]["name"] == service.name:
            if service.autoscale:
                current = live["spec"].get("replicas", 1) if live else 1
                one["spec"]["replicas"] = max(service.replicas, min(current, service.autoscale.max))
            elif (number := scaled_to(live, service)) is not None:
                one["spec"]["replicas"] = number
                one["metadata"].setdefault("annotations", {})[SCALED] = f"{number} of {service.replicas}"
    return [*found]


def scaled_to(live: Object | None, service: Service) -> int | None:
    """The number of replicas that `scale` set, if it still counts: the file's own number is what it was then."""
    annotation = (live or {"metadata": {}})["metadata"].get("annotations", {}).get(SCALED, "")
    number, _, file = annotation.partition(" of ")
    return int(number) if number and file == str(service.replicas) and not service.autoscale else None
