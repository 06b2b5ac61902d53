"""What a task asks for before it does anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from invoke import Context

from slipway.errors import ExitCode, Problem
from tasks import guard, ship


def test_up_is_for_this_machine_and_minds_a_protected_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(guard, "guarded", lambda *given: asked.extend(given))
    ship.up(Context())
    body, _, flags, _ = asked
    assert flags["confirm"]
    with pytest.raises(Problem, match="local or minikube, not staging") as raised:
        body(SimpleNamespace(environment=SimpleNamespace(name="staging")))
    assert raised.value.code is ExitCode.USAGE
    assert "./invoke deploy --env staging" in raised.value.fix
