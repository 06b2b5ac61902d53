"""Callers and callees agree: what a service's document says that it calls, reads and publishes, the other's promises."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from slipway.config.load import load
from tests.integration.project import ROOT

SERVICES = load(ROOT).services
DOCUMENTS: dict[str, dict[str, Any]] = {
    path.parts[-3]: json.loads(path.read_text()) for path in (ROOT / "services").glob("*/resources/openapi.json")
}
CALLS = [(name, call) for name, document in sorted(DOCUMENTS.items()) for call in document.get("x-calls", ())]
PUBLISHED, TAKEN = (
    [
        (name, topic, schema)
        for name, document in sorted(DOCUMENTS.items())
        for topic, schema in document.get(key, {}).items()
    ]
    for key in ("x-publishes", "x-takes")
)
HANDLED = {"401", "403", "404", "503"}  # by shared/calls.clj, beside 200


def resolved(document: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` means, or what is there itself."""
    while "$ref" in found:
        place: Any = document
        for word in found["$ref"].removeprefix("#/").split("/"):
            place = place[word]
        found = place
    return found


@pytest.mark.parametrize(("caller", "call"), CALLS, ids=[f"{name} {call['service']}" for name, call in CALLS])
def test_what_a_service_calls_is_there_and_has_what_it_reads(caller: str, call: dict[str, Any]) -> None:
    callee = DOCUMENTS[call["service"]]
    operation = callee["paths"][call["path"]][call["method"]]
    answer = resolved(callee, operation["responses"]["200"])
    if any(
        one["name"] == "fields" for one in operation.get("parameters", ())
    ):  # a selection; without it, all that is made
        made = callee["paths"][call["path"].removesuffix("/{id}")]["post"]
        answer = resolved(callee, made["responses"]["201"])
    schema = resolved(callee, answer["content"]["application/json"]["schema"])
    assert set(call["reads"]) <= set(schema.get("required", ()))
    assert set(call.get("may-read", ())) <= set(schema.get("properties", ()))
    if call["method"] == "get":
        assert set(operation["responses"]) & HANDLED >= {"401", "403", "404"}
    assert call["service"] in SERVICES[caller].needs


def test_a_service_calls_nothing_that_its_document_does_not_say() -> None:
    for name in DOCUMENTS:
        code = "".join(path.read_text() for path in (ROOT / "services" / name / "src").rglob("*.clj"))
        told = {call["service"] for call in DOCUMENTS[name].get("x-calls", ())}
        started = re.search(r"system/settings \[([^\]]*)\]", code)  # the services whose addresses it is given
        assert set(re.findall(r'"([a-z]+)"', started[1] if started else "")) == told, name


def properties(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """What a service's document says of a message's fields, apart from what is for readers alone."""
    told = resolved(DOCUMENTS[name], schema)["properties"]
    return {field: {word: value for word, value in one.items() if word != "description"} for field, one in told.items()}


@pytest.mark.parametrize(("taker", "topic", "wanted"), TAKEN, ids=[f"{name} {topic}" for name, topic, _ in TAKEN])
def test_what_is_published_is_what_its_taker_wants(taker: str, topic: str, wanted: dict[str, Any]) -> None:
    required = set(resolved(DOCUMENTS[taker], wanted)["required"])
    publishers = [(name, schema) for name, published, schema in PUBLISHED if published == topic]
    assert publishers
    for name, schema in publishers:
        assert required <= set(resolved(DOCUMENTS[name], schema)["required"]), name
        assert properties(name, schema) == properties(taker, wanted), name


def test_every_topic_has_one_taker() -> None:
    topics = [topic for _, topic, _ in TAKEN]
    assert sorted(topics) == sorted({topic for _, topic, _ in PUBLISHED})


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_service_publishes_and_takes_what_its_document_says(name: str) -> None:
    code = "".join(path.read_text() for path in (ROOT / "services" / name / "src").rglob("*.clj"))
    assert set(re.findall(r'queue/publish tx "([a-z]+)"', code)) == set(DOCUMENTS[name].get("x-publishes", ()))
    assert set(re.findall(r'queue/worker % "([a-z]+)"', code)) == set(DOCUMENTS[name].get("x-takes", ()))
    assert ("queue/publish" in code or "queue/worker" in code) == ("queue/migrations" in code)
