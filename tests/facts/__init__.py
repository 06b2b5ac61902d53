"""Recorded answers of the probe: SYSTEM/CASE.txt, and what is expected of each in the .json next to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.hosts.facts import Facts, parse

ANSWERS = sorted(Path(__file__).parent.glob("*/*.txt"))


def name(answer: Path) -> str:
    """SYSTEM/CASE."""
    return f"{answer.parent.name}/{answer.stem}"


def expected(answer: Path) -> dict[str, Any]:
    """`facts` by attribute, or the `error` that parsing raises; what installers decide is under a key of its own."""
    loaded: dict[str, Any] = json.loads(answer.with_suffix(".json").read_text())
    return loaded


def answers_with(key: str) -> list[Any]:
    """Facts and expected value of each recorded answer for which `key` is expected, as cases of a test."""
    return [
        pytest.param(parse(answer.read_text()), expected(answer)[key], id=name(answer))
        for answer in ANSWERS
        if key in expected(answer)
    ]


def recorded(**changes: str) -> Facts:
    """The facts of a Debian 12 on which nothing is installed, but for these lines of the answer."""
    text = (Path(__file__).parent / "debian-12" / "nothing-installed.txt").read_text()
    lines = dict(line.removeprefix("slipway:").split("=", 1) for line in text.splitlines())
    return parse("".join(f"slipway:{key}={value}\n" for key, value in (lines | changes).items()))
