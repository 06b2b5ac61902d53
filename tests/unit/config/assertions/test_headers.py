"""`headers`: regular expressions by name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.headers import Headers

ANSWER = Answer(200, (("Set-Cookie", "a=1"), ("set-cookie", "b=2")))


@pytest.mark.parametrize(
    ("headers", "failures"),
    [
        ({"SET-COOKIE": "^b="}, []),
        ({"Set-Cookie": "^c="}, ["expected header Set-Cookie to match ^c=, got a=1 and b=2"]),
        ({"Absent": "."}, ["expected header Absent to match ., got none"]),
        ({}, []),
    ],
)
def test_one_of_the_values_of_a_header_must_match(headers: dict[str, str], failures: list[str]) -> None:
    assert list(Headers(headers).failures(ANSWER)) == failures


def test_what_is_not_a_regular_expression_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        Headers({"X": "("})
