"""How many copies of a service serve: the file's number, that which `scale` set, or its autoscaler's. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from slipway.config.models import Service
from slipway.kubernetes.manifests.labels import SCALED
from slipway.kubernetes.objects import Object


def scaled(objects: Sequence[Object], live: Object | None, service: Service) -> list[Object]:
    """The objects with the number of copies that `live`, the Deployment that serves, has by other means than the file.

    That which `scale` set holds as long as the file's own number is what it was then. An autoscaler's is carried along,
    since a Deployment that names none any more falls to one copy.
    """
    found: list[Object] = json.loads(json.dumps(list(objects)))
    ours = next((o for o in found if o["kind"] == "Deployment" and o["metadata"]["name"] == service.name), None)
    if ours is None:
        return found
    if service.autoscale:
        there = live["spec"].get("replicas", 1) if live else 1
        ours["spec"]["replicas"] = max(service.replicas, min(there, service.autoscale.max))
    elif (number := by_hand(live, service)) is not None:
        ours["spec"]["replicas"] = number
        ours["metadata"].setdefault("annotations", {})[SCALED] = f"{number} of {service.replicas}"
    return found


def by_hand(live: Object | None, service: Service) -> int | None:
    """The number of copies that `scale` set, if it holds: the file's own number is what it was then."""
    mark = (live or {"metadata": {}})["metadata"].get("annotations", {}).get(SCALED, "")
    number, _, file = mark.partition(" of ")
    return int(number) if number and file == str(service.replicas) and not service.autoscale else None
