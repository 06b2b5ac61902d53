"""`json`: values by JSONPath."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.json_values import JsonValues

ANSWER = Answer(200, body=b'{"one": 1, "yes": true, "none": null, "list": [{"id": "a"}, {"id": "b"}]}')


@pytest.mark.parametrize(
    ("values", "failures"),
    [
        ({"$.one": 1, "$.yes": True, "$.none": None}, []),
        ({"$.list[*].id": "b"}, []),
        ({"$.list[*].id": "c"}, ['expected $.list[*].id to be "c", got "a", "b"']),
        ({"$.nothing": 1}, ["expected $.nothing to be 1, got nothing"]),
    ],
)
def test_one_of_the_values_that_a_path_finds_must_be_equal(values: dict[str, Any], failures: list[str]) -> None:
    assert list(JsonValues(values).failures(ANSWER)) == failures


@pytest.mark.parametrize("values", [{"$.yes": 1}, {"$.one": True}, {"$.one": "1"}, {"$.one": 1.0}])
def test_a_value_of_another_type_is_not_equal(values: dict[str, Any]) -> None:
    assert list(JsonValues(values).failures(ANSWER))


def test_a_body_that_is_not_json_has_no_values() -> None:
    failures = JsonValues({"$.one": 1}).failures(Answer(200, body=b"<html>"))
    assert list(failures) == ["expected $.one to be 1, got nothing"]


def test_what_is_not_a_json_path_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a JSONPath"):
        JsonValues({"$[": 1})
