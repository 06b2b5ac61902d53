"""What the Docker daemon's client makes of a builder's words."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, cast

import pytest

from slipway.errors import Problem
from slipway.hosts.engine import Engine
from slipway.hosts.facts import Facts
from slipway.hosts.fake import FakeHost
from slipway.steps import silent

ID = "a" * 64
GONE = (
    f"failed to get digest sha256:{ID}: open /var/lib/docker/image/{ID}: no such file or directory",
    f"No such image: sha256:{ID}",
    f"unknown parent image ID sha256:{ID}",
)


class Builder:
    """An API whose builds answer one after the other."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.cached: list[bool] = []

    def build(self, *, nocache: bool, **_: object) -> Any:
        self.cached.append(not nocache)
        return iter([self.answers.pop(0)])


def built(builder: Builder) -> str:
    with ExitStack() as closing:
        engine = Engine(FakeHost("here", Facts("Linux", "x86_64")), closing)
        engine._connected = cast("Any", builder)
        return engine.build(b"", "Dockerfile", (), {}, {}, "", silent())


@pytest.mark.parametrize("words", GONE)
def test_a_build_whose_cache_was_removed_meanwhile_begins_again_without_it(words: str) -> None:
    builder = Builder({"error": words}, {"aux": {"ID": "sha256:1"}})
    assert built(builder) == "sha256:1"
    assert builder.cached == [True, False]


def test_a_build_that_fails_of_itself_fails_at_once() -> None:
    builder = Builder({"error": "The command '/bin/sh -c false' returned a non-zero code: 1"})
    with pytest.raises(Problem) as raised:
        built(builder)
    assert "non-zero code" in raised.value.why
    assert builder.cached == [True]
