"""Another team's service, laid out in its own way: no conf.edn, no ring, its own port, Dockerfile and jar name.

It is built, and a build that fails is explained.
"""

from __future__ import annotations

import json

import pytest

from tests.integration.project import ROOT, Another, greets

CORE = "code/shop/core.clj"


def test_it_is_built_checked_and_deployed(another: Another) -> None:
    assert greets(another)
    status = json.loads(another.invoke("status", "--output", "json").out)
    assert [one["name"] for one in status["services"]] == ["shop"]
    assert another.invoke("deploy", "--plan").exit == 0
    assert list((another.service / "target").glob("the-shop.*.jar"))


@pytest.mark.parametrize(
    ("broken", "step", "headline", "words"),
    [
        ("(nope!)", "shop/jar", "shop: shop/core.clj:1: Unable to resolve symbol: nope!", "shop/core.clj:1"),
        (
            '(when-not *compile-files* (throw (Exception. "dies at start")))',
            "shop/smoke",
            "shop: it exited with code 1",
            "dies at start",
        ),
    ],
)
def test_a_broken_handler_is_explained_and_the_old_release_keeps_running(
    another: Another, broken: str, step: str, headline: str, words: str
) -> None:
    before = another.digest
    another.edit(CORE, "(ns shop.core", f"{broken}\n(ns shop.core")
    done = another.invoke("deploy", "--output", "json")
    assert done.exit == 1
    assert done.steps[step] == "failed"
    assert done.steps["shop/release"] == "skipped"
    assert done.failure(step).startswith(headline)
    assert words in done.failure(step)
    assert another.digest == before
    assert greets(another)
    kept = ROOT / ".slipway" / "runs" / done.events[0]["run"] / f"{step.replace('/', '-')}.txt"
    assert words in kept.read_text()
