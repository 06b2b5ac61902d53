"""`generate`: random values."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.config.secret_sources.generated import Generate, Generated


@pytest.mark.parametrize(("encoding", "length"), [("hex", 32), ("base64url", 22), ("base64", 24)])
def test_a_generated_secret_has_its_bytes(encoding: Any, length: int) -> None:
    assert len(Generate(bytes=16, encoding=encoding).new_value()) == length
    assert Generate(bytes=16).new_value() != Generate(bytes=16).new_value()


def test_it_is_generated_for_the_service_itself() -> None:
    assert Generated(generate=Generate()).owner("web") == "web"
