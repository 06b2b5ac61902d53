"""The registry of assertions: every key is judged, and a dump is what the digests of releases are made of."""

from __future__ import annotations

import json

from slipway.config.assertions.answer import Answer
from slipway.config.assertions.assertion import Assertion
from slipway.config.assertions.expect import Expect
from slipway.config.models import Check, Service
from slipway.deployers.docker.container import settings_digest

RICH = {
    "name": "rich",
    "curl": "curl $BASE/x",
    "expect": {
        "status": 200,
        "headers": {"Content-Type": "^application/json", "X-A": "b"},
        "body": "ok|fine",
        "json": {"$.a": 1, "$.b[0]": "zwei", "$.c": None, "$.d": [1.5, True]},
        "within": 2,
    },
    "save": {"TOKEN": {"json": "$.t", "match": "(.+)"}, "H": {"header": "X"}},
}
BARE = {"name": "bare", "curl": "curl $BASE", "expect": {}}
DUMP = (
    '{"name": "rich", "curl": "curl $BASE/x", "expect": {"status": 200, "headers": {"Content-Type": "^application/json", '
    '"X-A": "b"}, "body": "ok|fine", "at": {"$.a": 1, "$.b[0]": "zwei", "$.c": null, "$.d": [1.5, true]}, "within": 2.0}, '
    '"save": {"TOKEN": {"header": null, "body": false, "at": "$.t", "match": "(.+)"}, '
    '"H": {"header": "X", "body": false, "at": null, "match": null}}}'
)
BY_ALIAS = (
    '{"name":"rich","curl":"curl $BASE/x","expect":{"status":200,"headers":{"Content-Type":"^application/json","X-A":"b"},'
    '"body":"ok|fine","json":{"$.a":1,"$.b[0]":"zwei","$.c":null,"$.d":[1.5,true]},"within":2.0},'
    '"save":{"TOKEN":{"header":null,"body":false,"json":"$.t","match":"(.+)"},'
    '"H":{"header":"X","body":false,"json":null,"match":null}}}'
)


def test_a_dump_is_what_it_always_was_since_digests_of_releases_are_made_of_it() -> None:
    rich, bare = Check.model_validate(RICH), Check.model_validate(BARE)
    assert json.dumps(rich.model_dump(mode="json")) == DUMP
    assert rich.model_dump_json(by_alias=True) == BY_ALIAS
    assert json.dumps(bare.expect.model_dump(mode="json")) == (
        '{"status": null, "headers": {}, "body": null, "at": {}, "within": null}'
    )
    service = Service.model_validate({"name": "web", "checks": [RICH, BARE]})
    assert settings_digest(service, {}) == "bfe5d85b38744d7e"


def test_a_dump_is_read_again_as_the_same_check() -> None:
    rich = Check.model_validate(RICH)
    assert Check.model_validate_json(rich.model_dump_json(by_alias=True)) == rich


def test_every_assertion_judges_an_answer_in_order() -> None:
    expect = Check.model_validate(RICH).expect
    assert all(isinstance(getattr(expect, name), Assertion) for name in Expect.model_fields)
    failures = expect.failures(Answer(500, seconds=3))
    kinds = [
        "status",
        "header Content-Type",
        "header X-A",
        "the body",
        "$.a",
        "$.b[0]",
        "$.c",
        "$.d",
        "an answer within",
    ]
    assert [line for line, kind in zip(failures, kinds, strict=True) if not line.startswith(f"expected {kind} ")] == []


def test_where_no_answer_came_nothing_else_is_reported() -> None:
    expect = Check.model_validate(RICH).expect
    assert expect.failures(Answer(error="connection refused")) == ["expected an answer, got none: connection refused"]


def test_nothing_expected_is_nothing_wrong() -> None:
    assert Expect().failures(Answer(500)) == []
