"""`body`: a regular expression."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.body import Body


def test_the_body_must_match_somewhere() -> None:
    answer = Answer(200, body=b"\xff it is ready")
    assert list(Body("is rea?dy$").failures(answer)) == []
    assert list(Body("^ready").failures(answer)) == ["expected the body to match ^ready"]


def test_what_is_not_a_regular_expression_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        Body("(")
