"""The story of a deploy, driven with fakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config.models import Service
from slipway.errors import Problem
from slipway.flows.deploy import running_needs
from tests.unit.flows.workspaces import project, workspace


def test_a_need_that_is_not_deployed_is_named_with_who_needs_it(tmp_path: Path) -> None:
    needs: dict[str, tuple[str, ...]] = {"order": ("auth",), "auth": ("db",), "db": (), "mail": ()}
    work = workspace(project(tmp_path, [Service(name=name, needs=needs[name]) for name in needs]))
    precondition = running_needs(work, ["order", "mail"], ("auth", "db"), ())
    with pytest.raises(Problem) as caught:
        precondition.verify(precondition.probe.facts())
    assert caught.value.summary == "order needs db and auth, which are not deployed in local"
    assert caught.value.hint == "./invoke deploy, or ./invoke deploy --service auth,db"
