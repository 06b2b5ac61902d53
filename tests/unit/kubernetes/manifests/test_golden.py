"""What services were rendered as by earlier versions, to the byte: their releases must be `unchanged` for this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.config.models import Service
from slipway.deployers.kubernetes.release_store import pack, unpack
from slipway.deployers.release import Release
from slipway.kubernetes.manifests.labels import MANIFEST, RELEASE, SOURCE
from slipway.kubernetes.manifests.namespace import namespace
from slipway.kubernetes.manifests.render import IMAGE, digest, for_release, redacted, render

GOLDEN = Path(__file__).parent / "golden"
SERVICES: dict[str, dict[str, Any]] = {
    "rich": {
        "name": "auth",
        "port": 8443,
        "replicas": 2,
        "autoscale": {"max": 6, "cpu": 70},
        "env": {"LOG_LEVEL": "info", "GRÜSSE": "ja", "NUMBER": "1"},
        "secrets": {"KEY": {"generate": {}}, "OTHER": {"of": "order"}},
        "health": {"ready": "/health/ready", "live": "/health/live"},
        "resources": {"cpu": "250m", "memory": "384Mi"},
        "storage": {"data": {"path": "/data", "size": "2Gi"}, "logs": {"path": "/var/log/auth"}},
        "checks": [{"name": "it answers", "curl": "$BASE/health/ready", "expect": {"status": 200}}],
        "folder": GOLDEN / "own",
    },
    "exec": {"name": "worker", "health": {"exec": ["pg_isready", "-q"]}, "env": {"A": "b"}},
    "ready-only": {"name": "web", "health": {"ready": "/ready"}},
    "plain": {"name": "plain"},
}
SECRETS = {"rich": {"KEY": "geheim", "OTHER": "größer"}}


def everything(name: str) -> dict[str, Any]:
    """All that is made of a service: its objects, digest, those of a release, and what `render` shows."""
    service = Service.model_validate(SERVICES[name])
    objects = render("hh", "hands", service, IMAGE, SECRETS.get(name, {}))
    manifest = digest(objects, [check.model_dump(mode="json") for check in service.checks])
    marks = {RELEASE: "7", SOURCE: "src", MANIFEST: manifest}
    released = for_release(objects, "r/auth@sha256:1", marks)
    return {
        "namespace": namespace("hh", "hands"),
        "objects": objects,
        "digest": manifest,
        "released": released,
        "hidden": redacted(objects),
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_rendered_as_it_was_by_the_version_that_deployed_it(name: str) -> None:
    text = json.dumps(everything(name), indent=1, ensure_ascii=False) + "\n"
    assert text == (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


def release() -> Release:
    """The release that the golden record is of."""
    settings = Service.model_validate({**SERVICES["rich"], "folder": Path()})
    image, time = "r/auth@sha256:1", "2026-11-23T12:00:00+00:00"
    return Release("auth", 7, image, "src", "e297e1ec5dc1b9ae", time, "me", "abc", {"it answers": True}, settings)


def test_a_release_that_an_earlier_version_recorded_is_read() -> None:
    record = json.loads((GOLDEN / "release.json").read_text())
    kept = unpack(record)
    assert kept.release == release()
    packed = pack("hh", "hands", release(), kept.objects)
    assert {**packed, "data": {}} == {**record, "data": {}}  # compressed, which zlib's versions do differently
