"""The pictures of docs/: they are what the live view draws of the recorded runs, and docs/ shows each of them."""

from __future__ import annotations

from pathlib import Path

from tests.integration.project import ROOT
from tests.pictures.draw import MOMENTS, PICTURES, draw


def test_the_pictures_are_what_the_view_draws_now(tmp_path: Path) -> None:
    """Otherwise: `./invoke pictures`."""
    drawn = {file.name: file.read_text() for file in draw(tmp_path)}
    assert drawn == {file.name: file.read_text() for file in PICTURES.iterdir()}
    assert max(map(len, drawn.values())) < 40_000


def test_each_picture_is_shown() -> None:
    texts = "".join(file.read_text() for file in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    assert [moment.name for moment in MOMENTS if f"pictures/{moment.name}.svg)" not in texts] == []
