"""`deploy --watch` of a service of Helping Hands: a line, saved five times, and what the service answers."""

from __future__ import annotations

import pytest

from tests.benchmarks.edits import AUTH, developed
from tests.integration.watching import watching

pytestmark = pytest.mark.lab


def test_five_saves_are_five_runs_and_one_that_does_not_compile_leaves_the_release_before() -> None:
    with developed("local", ["auth"]) as hands:
        file = hands.services / AUTH.file
        with watching(hands.command("deploy", "auth", "--watch", "--output", "json")) as deploys:
            assert deploys.finished()[-1]["changed"] == 0
            for version in range(3):
                assert deploys.saved(lambda: AUTH.write(hands.services, version))[-1]["status"] == "done"  # noqa: B023
                AUTH.require_answer(hands, version)

            right = file.read_text()
            events = deploys.saved(lambda: file.write_text(f"{right}\n(def broken (missing))\n"))
            assert events[-1]["status"] == "failed"
            line = len(right.splitlines()) + 2
            assert any(f"auth/routes.clj:{line}" in str(event) for event in events), events
            AUTH.require_answer(hands, 2)

            assert deploys.saved(lambda: file.write_text(right))[-1]["status"] == "done"
            AUTH.require_answer(hands, 2)
            assert deploys.interrupted() == 130
