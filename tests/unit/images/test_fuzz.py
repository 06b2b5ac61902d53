"""No content of an archive, a Dockerfile or a jar gives a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.errors import Problem
from slipway.images import reproducible_layers as layers
from tests.unit.images.fuzz import VALID, contents, use


@pytest.mark.parametrize("name", VALID)
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_content_is_read_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    use(tmp_path, name, data.draw(contents(name)))


@pytest.mark.parametrize("kept", [0, 100, 512, 1600, 2600])
def test_an_archive_that_is_cut_is_told(tmp_path: Path, kept: int) -> None:
    (tmp_path / "saved.tar").write_bytes(VALID["archive"][:kept])
    with pytest.raises(Problem, match="the saved image can't be rewritten"):
        layers.read(tmp_path / "saved.tar", 0).write(tmp_path / "rewritten.tar")
