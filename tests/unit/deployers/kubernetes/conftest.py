"""What tests of releases on a cluster share."""

from __future__ import annotations

import pytest

from slipway.engine.cancellation import Cancel
from slipway.engine.events import Event
from slipway.engine.reporter import Reporter


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> tuple[Reporter, list[Event]]:
    """A report that waits for nothing, and what it heard."""
    heard: list[Event] = []
    cancel = Cancel()
    monkeypatch.setattr(cancel, "wait", lambda _: None)
    return Reporter("web", heard.append, cancel), heard
