"""An image that Slipway itself runs in a cluster is delivered once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from slipway.clusters.system_images import SystemImages
from slipway.config.versions import Images
from slipway.docker.fake import FakeDaemon
from slipway.engine.reporter import Reporter, null_reporter
from slipway.engine.steps import Probe


def test_a_system_image_is_delivered_once_by_concurrent_rollouts(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon, brought, second = FakeDaemon(), list[str](), threading.Event()
    images = SystemImages("shop", Images(), daemon, Probe(lambda: daemon.state("shop")))

    class Slow:
        def deliver(self, image: str, repository: str, tag: str, report: Reporter) -> str:  # noqa: ARG002
            brought.append(repository)
            second.set() if len(brought) > 1 else second.wait(0.3)
            return f"r/{repository}"

    monkeypatch.setattr(SystemImages, "provide", lambda *_: "image")
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: images.bring("probe", lambda _: Slow(), null_reporter()), range(2)))
    assert len(brought) == 1
    assert found[0] == found[1]
