"""No content of a project's files gives a traceback: it is used, or refused with the file's name."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.config.fuzz import FILES, Team, contents


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return Team(tmp_path_factory.mktemp("team"))


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_content_is_used_or_refused_with_the_files_name(project: Team, name: str, data: st.DataObject) -> None:
    project.use(name, data.draw(contents(name)))
