"""A service as a cluster's objects, for tests: plain data that a test may change."""

from __future__ import annotations

import copy
from typing import Any

from slipway.config.models import Service
from slipway.kubernetes.manifests.render import IMAGE, render
from slipway.kubernetes.objects import Object

Json = dict[str, Any]
SERVICE: Json = {
    "name": "auth",
    "port": 8080,
    "replicas": 2,
    "env": {"LOG_LEVEL": "info"},
    "health": {"ready": "/health/ready", "live": "/health/live"},
    "secrets": {"KEY": {"generate": {}}},
}


def service(**changes: Any) -> Service:
    return Service.model_validate({**SERVICE, **changes})


def rendered(secret: str = "geheim", **changes: Any) -> list[Json]:
    return editable(render("hh", "hh", service(**changes), IMAGE, {"KEY": secret}))


def editable(objects: list[Object]) -> list[Json]:
    return [copy.deepcopy({**one}) for one in objects]


def deployment(found: list[Json]) -> Json:
    return next(one for one in found if one["kind"] == "Deployment")
