"""A project of another team than ours, with one service."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.load import load
from slipway.errors import UsageError

PLAIN = "name: web\nport: 9000\nbuild: none\n"


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another team's project: one service without Clojure's usual files."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "slipway.yaml").write_text("name: shop\nshort: sh\nservices: apps\n")
    service(tmp_path, "web", PLAIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def service(team: Path, name: str, text: str) -> None:
    folder = team / "apps" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "service.yaml").write_text(text)


def errors(team: Path) -> list[str]:
    """The errors that are reported when the project is loaded."""
    with pytest.raises(UsageError, match=r"^[0-9]+ errors? in the configuration") as caught:
        load(team)
    return caught.value.details.splitlines()
