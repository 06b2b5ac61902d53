"""The process that removes warm containers which nobody came for."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.deployers.docker import warm_end
from slipway.docker.labels import Names
from slipway.errors import Problem


def test_it_ends_when_another_has_taken_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_end, "LOOK_EVERY", 0.01)
    began, moment = time.monotonic(), time.time() + 60
    current = tmp_path / "current.txt"
    warm_end.main("shop", "sh", str(moment), str(current))  # there is none
    current.write_text(str(moment + 1))
    warm_end.main("shop", "sh", str(moment), str(current))
    assert time.monotonic() - began < 30
    assert current.read_text() == str(moment + 1), "it is the other's"


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").write_text("a file, where a folder would be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with pytest.raises(Problem, match="can't be kept"):
        warm_end.end_later(Names("shop", "sh"), datetime.now(UTC) + timedelta(minutes=1))
