"""`json`: values by JSONPath."""

from __future__ import annotations

import json
from typing import Any

import jsonpath
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.json_values import JsonValues, same
from slipway.config.fields import PLAIN_JSON_PATH

ANSWER = Answer(
    200, body=b'{"one": 1, "yes": true, "none": null, "list": [{"id": "a"}, {"id": "b"}], "at": "2024-05-01"}'
)


@pytest.mark.parametrize(
    ("values", "failures"),
    [
        ({"$.one": 1, "$.yes": True, "$.none": None}, []),
        ({"$.one": 1.0, "$.list": [{"id": "a"}, {"id": "b"}]}, []),
        ({"$.list[*].id": "b"}, []),
        ({"$.list[*].id": "c"}, ['expected $.list[*].id to be "c", got "a", "b"']),
        ({"$.nothing": 1}, ["expected $.nothing to be 1, got nothing"]),
    ],
)
def test_one_of_the_values_that_a_path_finds_must_be_equal(values: dict[str, Any], failures: list[str]) -> None:
    assert list(JsonValues(values).failures(ANSWER)) == failures


@pytest.mark.parametrize(
    "values", [{"$.yes": 1}, {"$.one": True}, {"$.one": "1"}, {"$.none": False}, {"$": {"one": True}}]
)
def test_a_value_of_another_type_is_not_equal(values: dict[str, Any]) -> None:
    assert list(JsonValues(values).failures(ANSWER))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 1.5, "1", "true", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@given(JSON, JSON)
def test_values_are_equal_where_their_canonical_json_is(one: Any, other: Any) -> None:
    assert same(one, other) == (canonical(one) == canonical(other))


def canonical(value: Any) -> str:
    """JSON in which every number is written as a float, and keys are sorted."""
    text = json.dumps(value, sort_keys=True)
    return json.dumps(json.loads(text, parse_int=float), sort_keys=True).replace("-0.0", "0.0")


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"9" * 5000])
def test_a_body_that_is_not_json_has_no_values(body: bytes) -> None:
    failures = JsonValues({"$.one": 1}).failures(Answer(200, body=body))
    assert list(failures) == ["expected $.one to be 1, got nothing"]


def test_infinity_is_refused() -> None:
    with pytest.raises(ValidationError, match="JSON has no infinity"):
        JsonValues({"$.one": [float("inf")]})


def test_what_is_not_a_json_path_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a JSONPath"):
        JsonValues({"$[": 1})


@given(st.from_regex(PLAIN_JSON_PATH, fullmatch=True))
@example("$.and.or.not.in.true.null.length")
@example("$[0][10]._a")
def test_what_is_taken_for_a_json_path_without_the_library_is_one_to_it(path: str) -> None:
    jsonpath.compile(path)
