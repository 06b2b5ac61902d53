"""`deploy --watch` on the real Docker: each save is deployed, the newest wins, and Ctrl-C ends it."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tests.integration.project import LIGHT, Light, greets
from tests.integration.watching import watching


def test_each_save_is_deployed_until_ctrl_c(light: Light) -> None:
    def save(**fields: Any) -> None:
        (light.service / "service.yaml").write_text(json.dumps({**LIGHT, **fields}))

    with watching(light.command("deploy", "--watch", "--output", "json")) as deploys:
        assert deploys.finished()[-1]["changed"] == 0
        for number in range(1, 4):
            assert deploys.saved(partial(save, env={"LEVEL": f"level {number}"}))[-1]["status"] == "done"
            assert f"LEVEL=level {number}" in light.inspect()["Config"]["Env"]
        assert deploys.saved(partial(save, env={"SAYS": "no greeting"}))[-1]["status"] == "failed"
        assert deploys.saved(save)[-1]["status"] == "done"
        assert deploys.interrupted() == 130
    assert greets(light)
