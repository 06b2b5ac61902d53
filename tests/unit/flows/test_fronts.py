"""What stands in front of services: what a deploy gets for it, and what it asks for first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from slipway.config.expose import Acme, CertificateFiles, Expose
from slipway.config.models import Health, Service
from slipway.config.versions import Base
from slipway.docker.state import State
from slipway.engine.plan import plan
from slipway.engine.steps import Probe
from slipway.flows.fronts import Fronts

IMAGES = {name: Base(upstream=f"r/{name}@sha256:{'0' * 64}") for name in ("proxy", "edge")}


def steps(fronts: Fronts, *services: Service) -> list[Any]:
    """The nodes for services, of a Docker without images."""
    wanted: Any = [SimpleNamespace(settings=service) for service in services]
    return list(fronts.steps(wanted, Probe(lambda: State((), (), (), ())), (), print))


def test_images_are_got_for_services_that_need_them() -> None:
    fronts = Fronts(IMAGES, Acme())
    plain, ready = Service(name="a"), Service(name="b", health=Health(ready="/"))
    public = Service(name="c", expose=Expose(host="c.example.org"))
    assert [[node.id for node in steps(fronts, *those)] for those in ((plain,), (plain, ready), (public,))] == [
        [],
        ["proxy"],
        ["edge"],
    ]
    assert steps(Fronts({}, Acme()), plain, ready) == []


def test_files_that_can_not_be_read_end_a_deploy_first(tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    tls = CertificateFiles(cert=str(root), key=str(root))
    signed, own = Expose(host="c.example.org"), Expose(host="c.example.org", tls=tls)
    for acme, how in ((Acme(root=str(root)), signed), (Acme(), own)):
        nodes = steps(Fronts(IMAGES, acme), Service(name="c", expose=how))
        assert [(node.id, node.after) for node in nodes] == [
            ("certificates", ()),
            ("edge", ("certificates",)),
        ]
        root.write_text("PEM")
        assert not plan(nodes[:1], lambda _: None).failures
        root.unlink()
        found = plan(nodes[:1], lambda _: None).failures["certificates"]
        assert f"{root} can't be read as a PEM file" in str(found)
